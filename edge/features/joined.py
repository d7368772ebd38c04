"""One long measurement of short windows, where they follow each other without a pause.

Joining windows across a pause would put a step where the machine had none, and a step holds every low frequency. So
only windows whose times say that no sample is missing between them are joined; after a pause it begins anew. A schedule
of short windows with pauses gives no long measurement: there the source has to take longer windows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge.types import ChannelKind, FloatArray, Machine, Window

LONGEST_S = 10.0  # what is kept at most, whatever the shaft's speed asks for
_REVOLUTIONS = 6.0
_TOLERANCE = 0.5  # samples: a clock that jitters by more cannot show that none is missing


def seconds_needed(machine: Machine, at_least_s: float) -> float:
    """How long a long measurement of this machine is: `at_least_s`, and some revolutions where the speed is known."""
    turning = _REVOLUTIONS * 60.0 / machine.speed_rpm if machine.speed_rpm else 0.0
    return min(max(at_least_s, turning), max(LONGEST_S, at_least_s))


class Joiner:
    """Collects the windows of one machine; keeps at most one long measurement, by reference."""

    def __init__(self, machine: Machine, seconds: float) -> None:
        fast = [c for c in machine.channels if c.kind is ChannelKind.WAVEFORM]
        self._rates = {c.name: c.rate_hz for c in fast}
        slow = [c for c in machine.channels if c.kind is ChannelKind.SCALAR]
        self._beside = frozenset(c.name for c in slow)
        self._seconds = seconds
        self._begin()

    def _begin(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._parts: list[Mapping[str, FloatArray]] = []
        self._end_s: dict[str, float] = {}  # by channel, seconds since the first part's time
        self._start_ns = 0

    def add(self, window: Window) -> dict[str, FloatArray] | None:
        """Take a window; the joined samples of each channel once every waveform is long enough, None before."""
        names = frozenset(n for n in self._rates if n in window.samples and window.samples[n].size)
        if not names:
            return None
        if not self._follows(window, names):
            self._begin()
            self._names, self._start_ns = names, window.time_ns
        offset_s = (window.time_ns - self._start_ns) * 1e-9
        self._parts.append(window.samples)
        for name in names:
            self._end_s[name] = offset_s + window.samples[name].size / self._rates[name]
        shortest = min(self._end_s.values())
        if shortest < self._seconds - 1e-6:
            return None
        joined = {n: np.concatenate([p[n] for p in self._parts]) for n in names}
        for name in self._beside:
            parts = [p[name] for p in self._parts if name in p and p[name].size]
            if len(parts) == len(self._parts):  # a slow channel with a hole would be stretched over it
                joined[name] = np.concatenate(parts)
        self._begin()
        return joined

    def _follows(self, window: Window, names: frozenset[str]) -> bool:
        if not self._parts or names != self._names:
            return False
        offset_s = (window.time_ns - self._start_ns) * 1e-9
        return all(abs(offset_s - self._end_s[n]) * self._rates[n] <= _TOLERANCE for n in names)
