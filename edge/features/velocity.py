"""Vibration velocity from acceleration: the quantity that ISO 20816 judges machines by.

Integration divides by frequency, so what leaks down from below 10 Hz is amplified: the Hann window, applied as a
three-point sum in the frequency domain, keeps it out without a second transform.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 10.0, 1000.0
SHORTEST_S = 1.0
_STANDARD_GRAVITY = 9.80665  # m/s2
_MM_S2 = {"g": 1000.0 * _STANDARD_GRAVITY, "m/s2": 1000.0, "m/s^2": 1000.0}  # one unit of acceleration in mm/s2
_MM_S = {"mm/s": 1.0, "m/s": 1000.0}  # one unit of velocity in mm/s


def measurable(samples: int, rate_hz: float, unit: str) -> bool:
    """True when a window of this length, rate and unit holds a velocity from 10 to 1000 Hz."""
    return samples >= SHORTEST_S * rate_hz and rate_hz >= 2 * HIGHEST_HZ and has_velocity(unit)


def has_velocity(unit: str) -> bool:
    """True for units of acceleration and of velocity."""
    return unit in _MM_S2 or unit in _MM_S


def mm_s_per_unit(unit: str, hz: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]] | None:
    """(k,) frequencies above 0 -> (k,) mm/s of a tone of one unit at each; None where the unit has no velocity."""
    if unit in _MM_S2:
        return _MM_S2[unit] / (2 * np.pi * hz)
    return np.full(hz.shape, _MM_S[unit]) if unit in _MM_S else None


class VelocityRms:
    """RMS of the vibration velocity from 10 to 1000 Hz, from the lines of an unwindowed rfft."""

    def __init__(self, samples: int, rate_hz: float, unit: str) -> None:
        step_hz = rate_hz / samples
        self._first = max(math.ceil(LOWEST_HZ / step_hz), 1)
        self._end = min(math.floor(HIGHEST_HZ / step_hz), (samples - 1) // 2) + 1  # below Nyquist: each line twice
        hz = np.arange(self._first, self._end) * step_hz
        per_line = mm_s_per_unit(unit, hz)
        if per_line is None:
            raise ValueError(f"{unit!r} has no velocity")  # `measurable` says so before
        mean_square_of_hann = 3.0 / 8.0
        self._weight = (per_line / samples * math.sqrt(2.0 / mean_square_of_hann)).astype(np.float32)

    def __call__(self, lines: NDArray[np.complexfloating[Any, Any]]) -> NDArray[np.floating[Any]]:
        """(C, n // 2 + 1) lines of the rfft -> (C,) mm/s."""
        a, b = self._first, self._end
        hann = lines[:, a:b] * 0.5 - (lines[:, a - 1 : b - 1] + lines[:, a + 1 : b + 1]) * 0.25
        velocity = np.abs(hann) * self._weight
        square: NDArray[np.floating[Any]] = np.vecdot(velocity, velocity)
        rms: NDArray[np.floating[Any]] = np.sqrt(square)
        return rms
