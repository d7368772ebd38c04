"""Faults between a sensor and its channel: swapped axes, a wrong unit, death. A healthy start shows them.

A sensor that is read in another unit is louder or quieter by one factor in every band, from one window to the next, and
its shapes stay. A failing machine grows, and not in every band alike. Swapped axes each look like the other's start.
A dead sensor leaves its converter's noise, which sounds like a very healthy machine; so where one channel falls far
below its start and another one of the machine does not, it is the sensor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edge.detection.baseline import TRACKED, ChannelBaseline
from edge.detection.sensors import DEAD

UNIT, SWAPPED = "unit", "swapped"
_QUIET = math.log(1 / 10)  # of the level at its start: no machine falls so far on one axis alone
_AWAKE = math.log(1 / 2)  # another channel at this level or above: the machine runs
_AMPLITUDES = ("rms@1", "peak@1", "envelope_rms@1", *(f"band{i}_rms@1" for i in range(1, 6)))
_SIZES = np.array([TRACKED.index(f) for f in _AMPLITUDES])
_FORMS = np.array([TRACKED.index(f) for f in ("crest@1", "kurtosis@1", "shape@1")])
_RMS = TRACKED.index("rms@1")
_FACTOR = math.log(4.5)  # the smallest wrong unit; 9.81 is the smallest one in use
_ALIKE = 0.8  # spread of the bands' logarithms around one factor, as single windows have it
_SAME_FORM = 0.4  # distance of the shapes' logarithms
_STEP = math.log(4.0)  # from one window to the next
_MOVED = 0.15  # distance of the level below which nothing is looked at
_APART = 0.3  # mean distance at which swapped axes can be told from sound ones
_CROSSED = 0.4  # distance to the other's start, as a share of that to the own one


class WiringWatch:
    """Follows the channels of one machine; `factors` remembers each channel's level, and `wrong` those misread."""

    def __init__(self) -> None:
        self.factors: dict[str, float] = {}
        self.wrong: set[str] = set()
        self._told: dict[str, str] = {}  # in the last window: it holds in a regime whose start is not known

    def update(self, channels: Mapping[str, ChannelBaseline]) -> dict[str, str]:
        """Take the channels that were heard in a window and return the fault of each that is not what it says."""
        found: dict[str, str] = {}
        moved = []
        levels: dict[str, float] = {}
        for name, channel in channels.items():
            centre, logs = channel.centre, channel.logs
            if centre is None or logs is None:
                if name in self._told:
                    found[name] = self._told[name]
                continue
            level = logs.item(_RMS) - centre.item(_RMS)
            levels[name] = level
            if abs(level) < _MOVED:
                self.factors[name] = level
                self.wrong.discard(name)
                continue
            moved.append(name)
            if self._misread(name, level, logs, centre):
                found[name] = UNIT
            else:
                self.factors[name] = level
        for a, b in combinations(moved, 2) if len(moved) > 1 else ():
            if _swapped(channels[a], channels[b]):
                found[a] = found[b] = SWAPPED
        if max(levels.values(), default=_QUIET) > _AWAKE:
            found |= {n: DEAD for n, level in levels.items() if level < _QUIET and n not in found}
        self._told = found
        return found

    def _misread(self, name: str, level: float, logs: NDArray[np.float64], centre: NDArray[np.float64]) -> bool:
        stepped = name in self.wrong or abs(level - self.factors.get(name, level)) > _STEP
        if abs(level) < _FACTOR or not stepped:
            self.wrong.discard(name)
            return False
        sizes, forms = (logs - centre)[_SIZES], (logs - centre)[_FORMS]
        if np.ptp(sizes) < _ALIKE and np.abs(forms).max() < _SAME_FORM:
            self.wrong.add(name)
            return True
        self.wrong.discard(name)
        return False


def _swapped(one: ChannelBaseline, other: ChannelBaseline) -> bool:
    a, b, at_a, at_b = one.logs, other.logs, one.centre, other.centre
    if a is None or b is None or at_a is None or at_b is None:
        return False
    own = _distance(a, at_a) + _distance(b, at_b)
    return own > 2.0 * _APART and _distance(a, at_b) + _distance(b, at_a) < _CROSSED * own


def _distance(logs: NDArray[np.float64], centre: NDArray[np.float64]) -> float:
    return float(np.abs(logs[_SIZES] - centre[_SIZES]).mean())
