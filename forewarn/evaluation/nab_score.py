"""NAB's score, profile `standard`, 0..100.

Lavin and Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark", ICMLA 2015; details
as in the repository numenta/NAB, nab/sweeper.py and nab/scorer.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

Windows = list[tuple[int, int]]  # first and last row of each window
TRUE, FALSE, MISSED = 1.0, 0.11, 1.0  # A_TP, A_FP, A_FN
_FAR = 3.0  # window lengths behind a window, from where on a false alarm costs all


def scaled_sigmoid(position: float) -> float:
    """2 / (1 + exp(5 y)) - 1: nearly 1 at a window's start (y = -1), 0 at its end, to -1 behind it."""
    return -1.0 if position > _FAR else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def nab_score(alarms: Iterable[int], windows: Windows, probation: int) -> dict[str, Any]:
    """Return the normalised score, the windows found, and the alarms outside of any; rows in probation don't count.

    Of each window the best alarm counts; a window without one costs A_FN; an alarm outside costs A_FP, less shortly
    after a window. 0 is who never alarms, 100 who alarms at the start of each window and nowhere else.
    """
    best: dict[tuple[int, int], float] = {}
    false, outside = 0.0, 0
    for row in alarms:
        if row < probation:
            continue
        inside = next((w for w in windows if w[0] <= row <= w[1]), None)
        if inside is not None:
            first, last = inside
            position = -(last - row + 1) / (last - first + 1)
            best[inside] = max(best.get(inside, 0.0), TRUE * scaled_sigmoid(position) / scaled_sigmoid(-1.0))
        else:
            outside += 1
            false += FALSE * scaled_sigmoid(_behind(row, windows))
    missed = len(windows) - len(best)
    raw = sum(best.values()) - MISSED * missed + false
    worst, perfect = -MISSED * len(windows), TRUE * len(windows)
    score = 100.0 * (raw - worst) / (perfect - worst) if windows else 0.0
    return {"score": round(score, 2), "found": len(best), "windows": len(windows), "outside": outside}


def _behind(row: int, windows: Sequence[tuple[int, int]]) -> float:
    """How many lengths of the last window a row is behind it; infinite before the first window."""
    before = [w for w in windows if w[1] < row]
    if not before:
        return math.inf
    first, last = before[-1]
    return (row - last) / max(last - first, 1)
