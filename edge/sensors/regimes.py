"""How a plant drives a simulated machine: set-points of speed and load that change every few hours.

Any time can be asked for, in any order, so that a year can be sampled without being simulated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_TABLE = 4096  # set-points until they repeat: most of a year
_RAMP_S = 120.0


class Regimes:
    """The speed (share of nominal, 0.55 to 1.15) and the load (share of nominal, 0.35 to 1.1) of one machine."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, *b"regimes"])
        self._dwell_s = rng.uniform(3600.0, 10_800.0, 2)
        points = (rng.uniform(0.55, 1.15, 4), rng.uniform(0.35, 1.1, 4))
        self._levels = [p[rng.integers(0, p.size, _TABLE)] for p in points]
        self._phase = rng.uniform(0, 2 * np.pi, 2)

    def at(self, time_s: ArrayLike) -> tuple[Array, Array]:
        """Times since the start in seconds (n,) -> speed and load (n,): steps, ramps of two minutes, and some sway."""
        times = np.asarray(time_s, dtype=np.float64)
        speed = self._stepped(0, times) * (1.0 + 0.01 * np.sin(2 * np.pi * times / 1900.0 + self._phase[0]))
        load = self._stepped(1, times) * (1.0 + 0.05 * np.sin(2 * np.pi * times / 4700.0 + self._phase[1]))
        return speed, load

    def _stepped(self, which: int, times: Array) -> Array:
        levels, dwell_s = self._levels[which], self._dwell_s[which]
        step = np.floor(times / dwell_s).astype(np.int64)
        ramped = np.clip((times - step * dwell_s) / _RAMP_S, 0.0, 1.0)
        before, after = levels[np.maximum(step - 1, 0) % _TABLE], levels[step % _TABLE]
        moved: Array = before + (after - before) * ramped
        return moved
