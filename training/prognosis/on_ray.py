"""The fits of a training run as tasks on a Ray cluster.

A task is one fit on one CPU, so that a cluster gives the same bytes as this process. A worker that dies is replaced and
its task runs again; a cluster that does not answer in time, or whose head has died, is an `Unavailable`.
"""

# ruff: noqa: PLC0415 - Ray takes seconds and hundreds of megabytes: only who uses it pays
from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from models.errors import ForewarnError, Unavailable
from training.cluster import check_head, connected
from training.model import Say
from training.prognosis.fit import Weights
from training.prognosis.folds import Left
from training.prognosis.pipeline import Job, Runner

_RETRIES = 3  # of a task whose worker died
_POLL_S = 5.0  # how often a wait looks at its deadline and at the head


def on_cluster(address: str, *, cpus: int = 2) -> Runner:
    """Return what runs fits on a cluster; it connects only when there is something to run."""

    def run(job: Job, say: Say) -> Iterator[tuple[Left, Weights]]:
        with connected(address, cpus=cpus, say=say):
            yield from run_on_cluster(job, say)

    return run


def run_on_cluster(job: Job, say: Say, *, deadline_s: float = 1800.0) -> Iterator[tuple[Left, Weights]]:
    """Run the fits as Ray tasks on the connected cluster, each given as it ends; `Unavailable` at the deadline."""
    import ray

    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_run)
    stored = ray.put(job)
    running = {task.remote(stored, left): left for left in job.fits}
    until = time.monotonic() + deadline_s
    try:
        while running:
            ready, _ = ray.wait(list(running), timeout=min(_POLL_S, max(until - time.monotonic(), 0.0)))
            for reference in ready:
                left = running.pop(reference)
                yield left, _result(reference)
                say(f"fit {len(job.fits) - len(running)} of {len(job.fits)} on Ray: {job.describe(left)}")
            if running:
                check_head()
            if running and time.monotonic() > until:
                raise Unavailable(
                    f"{len(running)} of {len(job.fits)} fits did not end within {deadline_s:.0f} s on Ray"
                )
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _run(job: Job, left: Left) -> Weights:
    return job.run(left)


def _result(reference: Any) -> Weights:
    import ray

    try:
        weights: Weights = ray.get(reference, timeout=60.0)
    except (ray.exceptions.GetTimeoutError, ray.exceptions.WorkerCrashedError, ray.exceptions.ObjectLostError) as e:
        raise Unavailable(f"a fit was lost on the Ray cluster: {type(e).__name__}") from e
    except ray.exceptions.RayTaskError as e:
        raise ForewarnError(f"a fit failed on the Ray cluster: {e.cause or e}") from e
    return weights
