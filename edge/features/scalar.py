"""Slow channels: where they stand and where they go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.robust import median

CELSIUS = ("C", "°C", "degC")  # units of a temperature
SPAN_S = 600.0
LONGEST = 1024  # levels kept at most; a faster schedule looks back less than the span
_ROOM = 64  # levels there is room for at least


class Trend:
    """Level and rate of one slow channel; keeps the levels of the last 10 minutes."""

    def __init__(self) -> None:
        self._room = np.empty((_ROOM, 2))  # time and level; what is kept, and room for more behind it
        self._first = self._end = 0

    @property
    def _history(self) -> NDArray[np.float64]:
        """(n, 2) times and levels that are kept, the oldest first."""
        return self._room[self._first : self._end]

    def update(self, time_s: float, samples: NDArray[np.float32]) -> tuple[float, float] | None:
        """Median of the finite samples and its slope per minute (0 until there are three levels); None without any.

        A clock that goes back starts the history anew: a slope across it would mean nothing.
        """
        finite = samples[np.isfinite(samples)]
        if not finite.size:
            return None
        level = float(median(finite))
        if self._end > self._first and time_s <= self._room[self._end - 1, 0]:
            self._first = self._end
        self._keep(time_s, level)
        return level, self._slope() * 60.0

    def _keep(self, time_s: float, level: float) -> None:
        if self._end == len(self._room):
            kept = self._history
            self._room = np.empty((max(2 * len(kept), _ROOM), 2))
            self._room[: len(kept)] = kept
            self._first, self._end = 0, len(kept)
        self._room[self._end] = time_s, level
        self._end += 1
        self._first = max(self._first, self._end - LONGEST)
        while time_s - self._room[self._first, 0] > SPAN_S:
            self._first += 1

    def _slope(self) -> float:
        table = self._history
        if len(table) < 3:
            return 0.0
        moved = table - table.mean(axis=0)
        return float(moved[:, 0] @ moved[:, 1] / (moved[:, 0] @ moved[:, 0]))
