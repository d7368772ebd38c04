"""Faults of a sensor, seen in its samples: they must not read as a failing machine."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

DROPOUT, DEAD, STUCK, CLIPPED = "dropout", "dead", "stuck", "clipped"
_STUCK_SHARE = 0.5  # of the window in one run of equal samples
_CLIPPED_SHARE = 0.01  # of the window at one end of the range
_HEAP = 3  # a clipped end holds at least this many times the samples of the value next to it


def waveform_fault(samples: NDArray[np.float32]) -> str:
    """Return DROPOUT (not finite), DEAD (no variation), STUCK (half of it in one run), CLIPPED, or "" for none."""
    highest, lowest = float(samples.max()), float(samples.min())
    if not (math.isfinite(highest) and math.isfinite(lowest)):
        return DROPOUT
    if highest == lowest:
        return DEAD
    if _stuck(samples):
        return STUCK
    return CLIPPED if _heaped(samples, highest, above=True) or _heaped(samples, lowest, above=False) else ""


def _stuck(samples: NDArray[np.float32]) -> bool:
    same = samples[1:] == samples[:-1]
    if np.count_nonzero(same) + 1 < _STUCK_SHARE * samples.size:
        return False
    changes = np.flatnonzero(~same)
    runs = np.diff(np.concatenate([[-1], changes, [samples.size - 1]]))
    return bool(runs.max() >= _STUCK_SHARE * samples.size)


def _heaped(samples: NDArray[np.float32], end: float, *, above: bool) -> bool:
    """True where samples heap up at an end of the range; a coarse converter's steps grow towards the middle instead."""
    at_end = samples == np.float32(end)
    count = np.count_nonzero(at_end)
    if count < _CLIPPED_SHARE * samples.size:
        return False
    inner = samples[~at_end]
    beside = inner.max() if above else inner.min()
    return bool(count >= _HEAP * np.count_nonzero(inner == beside))
