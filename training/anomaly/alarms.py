"""When a departure raises an alarm, and which limit keeps a budget of false ones: rules apart from models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.networks.departure import LIMIT, STEEP
from training.anomaly.config import AnomalyConfig

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_LIMITS = np.geomspace(1.0, 12.0, 125)  # of the least limit, that may become the limit
_TO_SPARE = 1.2  # what a marked fault reaches, over the limit


@dataclass(frozen=True, slots=True)
class Heard:
    """One machine after its healthy start: n windows."""

    most: Array  # (n,) the largest departure of its channels
    healthy: Mask  # (n,) windows in which an alarm would be false
    faults: Sequence[tuple[int, int]]  # first window of each marked fault, and the first one after it

    def false(self, raised: Sequence[int]) -> int:
        """How many of the alarms raised in these windows are false."""
        return int(self.healthy[list(raised)].sum())

    def found(self, raised: Sequence[int]) -> int:
        """How many of the marked faults are found by them."""
        return sum(any(first <= i < end for i in raised) for first, end in self.faults)


@dataclass(frozen=True, slots=True)
class Tried:
    """What each of L limits does on each of M machines."""

    limits: Array  # (L,)
    false: NDArray[np.int64]  # (M, L) false alarms
    found: NDArray[np.int64]  # (M, L) marked faults found
    healthy: NDArray[np.int64]  # (M,) windows

    @classmethod
    def of(cls, heard: Sequence[Heard], config: AnomalyConfig) -> Tried:
        """Try all limits on all machines."""
        limits = config.least_limit * _LIMITS
        raised_at = [[raised(h.most, x, config) for x in limits.tolist()] for h in heard]
        false = [[h.false(r) for r in at] for h, at in zip(heard, raised_at, strict=True)]
        found = [[h.found(r) for r in at] for h, at in zip(heard, raised_at, strict=True)]
        return cls(limits, np.array(false), np.array(found), np.array([h.healthy.sum() for h in heard]))

    def choose(self, machines: Mask, config: AnomalyConfig) -> float:
        """The lowest limit that keeps the budget of false alarms on some machines (M,).

        Lower, where a marked fault would else have nothing to spare: an alarm that just happens would not happen again.
        """
        allowed = math.floor(int(self.healthy[machines].sum()) * config.false_alarms)
        kept = np.flatnonzero(self.false[machines].sum(axis=0) <= allowed)
        limit = float(self.limits[kept[0] if kept.size else -1])
        found = self.found[machines].sum(axis=0)
        if found.max(initial=0):
            highest = float(self.limits[np.flatnonzero(found == found.max())[-1]])
            limit = max(min(limit, highest / _TO_SPARE), config.least_limit)
        return limit


def raised(most: Array, limit: float, config: AnomalyConfig) -> list[int]:
    """The windows in which an alarm is raised, by the largest departure (n,) of each window."""
    if not (most >= limit).any():
        return []
    score = 1.0 / (1.0 + ((1.0 + limit) / (1.0 + most)) ** STEEP)
    found, stands, above, clear = [], False, 0, 0
    for i, value in enumerate(score.tolist()):
        above = above + 1 if value >= LIMIT else 0
        clear = clear + 1 if value < LIMIT - config.clear_share else 0
        if stands and clear >= config.clear_windows:
            stands = False
        elif not stands and above >= config.raise_windows:
            stands = True
            found.append(i)
    return found


def stretches(faulty: Mask | None) -> list[tuple[int, int]]:
    """First window of each stretch of marks and the first one after it."""
    if faulty is None:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], faulty, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
