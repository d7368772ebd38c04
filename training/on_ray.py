"""A function on each of some items, as tasks on the connected Ray cluster.

A task has one CPU, so that a cluster gives the same bytes as this process. A worker that dies is replaced and its task
runs again; a cluster that does not answer in time, or whose head has died, is an `Unavailable`.
"""

# ruff: noqa: PLC0415 - Ray takes seconds and hundreds of megabytes: only who uses it pays
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from models.errors import ForewarnError, Unavailable
from training.cluster import check_head

T = TypeVar("T")
R = TypeVar("R")
_RETRIES = 3  # of a task whose worker died
_POLL_S = 5.0  # how often a wait looks at its deadline and at the head


def each_on_ray(
    function: Callable[[T], R], items: Sequence[T], *, task: str, deadline_s: float = 1800.0
) -> Iterator[tuple[int, R]]:
    """Yield each item's position and result as it ends; `task` is the word for one of them.

    Raises `Unavailable` at the deadline, and `ForewarnError` with what the function raised.
    """
    import ray

    remote: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
    stored = ray.put(function)  # once, whatever it carries
    running = {remote.remote(stored, item): position for position, item in enumerate(items)}
    until = time.monotonic() + deadline_s
    try:
        while running:
            ready, _ = ray.wait(list(running), timeout=min(_POLL_S, max(until - time.monotonic(), 0.0)))
            for reference in ready:
                yield running.pop(reference), _result(reference, task)
            if running:
                check_head()
            if running and time.monotonic() > until:
                raise Unavailable(
                    f"{len(running)} of {len(items)} {task}s did not end within {deadline_s:.0f} s on Ray"
                )
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)


def _result(reference: Any, task: str) -> Any:
    import ray

    try:
        return ray.get(reference, timeout=60.0)
    except (ray.exceptions.GetTimeoutError, ray.exceptions.WorkerCrashedError, ray.exceptions.ObjectLostError) as e:
        raise Unavailable(f"a {task} was lost on the Ray cluster: {type(e).__name__}") from e
    except ray.exceptions.RayTaskError as e:
        raise ForewarnError(f"a {task} failed on the Ray cluster: {e.cause or e}") from e
