"""The measures: error of the median, interval score, coverage; and where in a life an alarm first comes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.lives import Life

Array = NDArray[np.float64]
NULL = (0.1, 0.3, 1.0)  # shares of the age


def rows_at(life: Life, cuts: tuple[float, ...]) -> NDArray[np.intp]:
    """The last row before each cut, a share of life; cuts that lie before the first row are left out."""
    whole = life.age_s[-1] + life.rul_s[-1]
    rows = np.searchsorted(life.age_s, np.array(cuts) * whole, side="right") - 1
    return np.asarray(rows[rows >= 0], np.intp)


def null_answer(age_s: Array) -> Array:
    """What "no estimate" is scored as, so that silence earns nothing: (k,) -> (k, 3), 0.3 x age, 0.1 to 1.0 x age."""
    return np.asarray(age_s[:, None] * np.array(NULL))


def winkler(truth: Array, low: Array, high: Array) -> Array:
    """Interval score of p05..p95: width, and 20 times what the truth lies outside (Gneiting & Raftery 2007, eq. 43)."""
    return (high - low) + 20.0 * np.maximum(low - truth, 0.0) + 20.0 * np.maximum(truth - high, 0.0)


def covered(truth: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Whether the truth lies in the interval."""
    return (truth >= low) & (truth <= high)


def sustained(score: NDArray[np.floating], windows: int) -> Array:
    """(n,) -> (n,): the least of the last `windows` scores, which is what an on-delay compares with the limit."""
    if len(score) < windows:
        return np.full(len(score), -np.inf)
    held = np.lib.stride_tricks.sliding_window_view(score.astype(np.float64), windows).min(axis=1)
    return np.concatenate([np.full(windows - 1, -np.inf), held])


def first_alarm(life: Life, score: NDArray[np.floating], limit: float, windows: int) -> float | None:
    """The share of life at which the score has been at or above `limit` for `windows` windows; None: never."""
    found = np.flatnonzero(sustained(score, windows) >= limit)
    return float(life.share[found[0]]) if found.size else None
