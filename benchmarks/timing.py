"""Times several ways in turn, so that a busy machine slows all of them and their ratios stay true."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

Clock = Callable[[], float]


def microseconds(
    ways: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 15,
    seconds: float = 0.02,
    clock: Clock = time.process_time,
) -> dict[str, float]:
    """Median over rounds of each way's CPU time per call; every round runs all ways, each about `seconds` long."""
    calls = {}
    for name, way in ways.items():
        way()
        started = clock()
        way()
        calls[name] = max(int(seconds / max(clock() - started, 1e-6)), 1)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = clock()
            for _ in range(calls[name]):
                way()
            taken[name].append((clock() - started) / calls[name])
    return {name: float(np.median(times)) * 1e6 for name, times in taken.items()}
