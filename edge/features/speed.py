"""How fast the shaft turned in a window: as its own channel says where there is one, else as configured.

What is sought at multiples of the shaft's rate is sought at the measured speed or not at all: a line that is looked for
at another speed's frequency is wrong, and absence is not.
"""

from __future__ import annotations

import math

import numpy as np

from edge.features import orders
from edge.types import Channel, FloatArray, Machine, Window

PULSE = "pulse"  # unit of a tachometer, one pulse a revolution
RPM = ("rpm", "r/min", "1/min", "min-1")  # units of a speed
TURNING = (PULSE, *RPM)
STEADY = 0.02  # of the speed: lines are sought so far beside where geometry puts them
_STEP = 0.005  # measured speeds in one step of this grid share a plan


class ShaftSpeed:
    """The speed of one machine, window by window."""

    def __init__(self, machine: Machine) -> None:
        self._configured = machine.speed_rpm or None
        turning = [c for c in machine.channels if c.unit in TURNING]
        self._turning = sorted(turning, key=lambda c: c.unit != PULSE)  # a tachometer before a speed

    @property
    def known(self) -> bool:
        """Whether a window may have a speed at all."""
        return bool(self._turning) or self._configured is not None

    def of(self, window: Window) -> float | None:
        """Revolutions a minute, within 0.25 %; None where the shaft stood still, its speed moved or nobody told it."""
        if not self._turning:
            return self._configured
        for channel in self._turning:
            samples = window.samples.get(channel.name)
            if samples is not None and samples.size and np.isfinite(samples).all():
                speeds = _speeds(channel, samples)
                lowest, highest = (float(speeds.min()), float(speeds.max())) if speeds.size else (0.0, 0.0)
                steady = lowest > 0 and highest <= lowest * (1 + STEADY)
                return _on_the_grid((lowest + highest) / 2) if steady else None
        return None


def _speeds(channel: Channel, samples: FloatArray) -> orders.Array:
    if channel.unit in RPM:
        return np.abs(samples.astype(np.float64))
    found = orders.revolutions_of_pulses(samples, channel.rate_hz)
    return np.empty(0) if found is None else 60.0 * np.diff(found[1]) / np.diff(found[0])


def _on_the_grid(rpm: float) -> float:
    return math.exp(round(math.log(rpm) / _STEP) * _STEP)
