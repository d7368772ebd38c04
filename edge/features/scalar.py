"""Slow channels: where they stand and where they go."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from models.robust import median

CELSIUS = ("C", "°C", "degC")  # units of a temperature
SPAN_S = 600.0
LONGEST = 1024  # levels kept at most; a faster schedule looks back less than the span


class Trend:
    """Level and rate of one slow channel; keeps the levels of the last 10 minutes."""

    def __init__(self) -> None:
        self._history: deque[tuple[float, float]] = deque(maxlen=LONGEST)

    def update(self, time_s: float, samples: NDArray[np.float32]) -> tuple[float, float] | None:
        """Median of the finite samples and its slope per minute (0 until there are three levels); None without any.

        A clock that goes back starts the history anew: a slope across it would mean nothing.
        """
        finite = samples[np.isfinite(samples)]
        if not finite.size:
            return None
        level = float(median(finite))
        if self._history and time_s <= self._history[-1][0]:
            self._history.clear()
        self._history.append((time_s, level))
        while time_s - self._history[0][0] > SPAN_S:
            self._history.popleft()
        return level, self._slope() * 60.0

    def _slope(self) -> float:
        if len(self._history) < 3:
            return 0.0
        table = np.array(self._history)
        moved = table - table.mean(axis=0)
        return float(moved[:, 0] @ moved[:, 1] / (moved[:, 0] @ moved[:, 0]))
