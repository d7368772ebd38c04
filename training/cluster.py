"""The fits of a training run as tasks on a Ray cluster: the only file that imports Ray.

A task is one fit on one CPU, so that a cluster gives the same bytes as this process. A worker
that dies is replaced and its task runs again; a cluster that does not answer in time is an `Unavailable`. The nodes of
a cluster elsewhere need this version of Forewarn, with its extra `training`.
"""

# ruff: noqa: PLC0415 - Ray takes seconds and hundreds of megabytes: only who uses it pays
from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import ForewarnError, Unavailable, WrongUse
from training.fit import Weights
from training.folds import Left
from training.pipeline import Job, Runner, Say

LOCAL = "local"
_RETRIES = 3  # of a task whose worker died
_KNOCK_S = 10.0  # for a cluster's port to accept a connection
_POLL_S = 5.0  # how often a wait looks at its deadline


@contextmanager
def connected(address: str, *, cpus: int = 2) -> Iterator[None]:
    """Connect to a Ray cluster, or start one in this machine for `LOCAL`.

    A process that is connected already uses that connection, and leaves it open. A local cluster has no dashboard and
    asks for a token; RAY_AUTH_TOKEN_PATH names the token file of another one.
    """
    _authenticate(local=address == LOCAL)
    import ray

    if ray.is_initialized():
        yield
        return
    _connect(address, cpus)
    try:
        yield
    finally:
        ray.shutdown()


def on_cluster(address: str, *, cpus: int = 2) -> Runner:
    """Return what runs fits on a cluster; it connects only when there is something to run."""

    def run(job: Job, say: Say) -> Mapping[Left, Weights]:
        say("Ray: starting a cluster in this machine" if address == LOCAL else f"Ray: connecting to {address}")
        with connected(address, cpus=cpus):
            return run_on_cluster(job, say)

    return run


def run_on_cluster(job: Job, say: Say, *, deadline_s: float = 1800.0) -> Mapping[Left, Weights]:
    """Run the fits as Ray tasks on the connected cluster; raises `Unavailable` at the deadline."""
    import ray

    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_run)
    stored = ray.put(job)
    running = {task.remote(stored, left): left for left in job.fits}
    done: dict[Left, Weights] = {}
    until = time.monotonic() + deadline_s
    try:
        while running:
            ready, _ = ray.wait(list(running), timeout=min(_POLL_S, max(until - time.monotonic(), 0.0)))
            for reference in ready:
                left = running.pop(reference)
                done[left] = _result(reference)
                say(f"fit {len(done)} of {len(job.fits)} on Ray: {job.describe(left)}")
            if running and time.monotonic() > until:
                raise Unavailable(
                    f"{len(running)} of {len(job.fits)} fits did not end within {deadline_s:.0f} s on Ray"
                )
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
    return done


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


def _connect(address: str, cpus: int) -> None:
    import ray

    _knock(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    try:
        if address == LOCAL:
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except ValueError as e:
        raise WrongUse(f"not the address of a Ray cluster: {_first_line(e)}", where=address) from e
    except ray.exceptions.AuthenticationError as e:
        raise WrongUse(
            f"the Ray cluster does not let us in: {_first_line(e)}",
            where=address,
            mend="RAY_AUTH_TOKEN_PATH names the file with its token",
        ) from e
    except (ConnectionError, RuntimeError, TimeoutError, ray.exceptions.RayError) as e:
        raise Unavailable(
            f"no Ray cluster answers: {_first_line(e)}", where=address, mend="train without it: --ray off"
        ) from e


def _knock(address: str) -> None:
    """Refuse at once where nobody listens: Ray itself would try for a quarter of an hour."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and host and port.isdigit()):
        return  # `local`, `auto`, or what Ray will call wrong
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
    except (OSError, OverflowError) as e:
        raise Unavailable(
            f"no Ray cluster answers: {_first_line(e)}", where=address, mend="train without it: --ray off"
        ) from e


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _authenticate(*, local: bool) -> None:
    """Turn token authentication on, before Ray is imported: it reads these variables once, and keeps them.

    So they stay as they are for the rest of this process. A local cluster gets a token of its own, in a file that only
    this user can read and that goes with this process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if not local:  # a local one is waited for with short attempts, and may be slow to start
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "2")  # attempts to reach the cluster, about 45 s each
    if local and not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        folder = Path(tempfile.mkdtemp(prefix="forewarn-ray-"))  # mkdtemp: 0700
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
