"""In which regime of speed and load a machine runs, where slow channels say so: like is compared with like.

A regime is a cell of a logarithmic grid: what vibrates follows a power of speed and load, so equal ratios count alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from edge.features.speed import RPM
from edge.types import ChannelKind, FeatureRow, Kind, Machine

SPEED_STEP, LOAD_STEP = 0.1, 0.2  # width of a cell in logarithms: a vibration that goes with speed squared moves 20 %
_SPEED_NAMES, _LOAD_NAMES = ("speed",), ("load", "torque", "power")
_STANDSTILL = 0.1  # of the highest speed seen: below, a machine says nothing about its bearings
_IDLE = 0.1  # of the highest load seen: below, loads are one


class Regime(NamedTuple):
    """A cell of the grid, in steps of SPEED_STEP and LOAD_STEP; ANY where nothing is known of speed or load."""

    speed: int = 0
    load: int = 0


ANY = Regime()


class RegimeWatch:
    """Follows a machine's speed and load. Channels count by name (speed, load, torque, power) or a unit of speed."""

    def __init__(self, machine: Machine) -> None:
        slow = [c for c in machine.channels if c.kind is ChannelKind.SCALAR]
        speeds = [c.name for c in slow if c.unit in RPM or c.name.lower() in _SPEED_NAMES]
        loads = [c.name for c in slow if c.name.lower() in _LOAD_NAMES]
        self._speed, self._load = "".join(speeds[:1]), "".join(loads[:1])
        self.channels = frozenset((self._speed, self._load)) - {""}
        self.highest = [0.0, 0.0]

    def of(self, rows: Sequence[FeatureRow]) -> Regime | None:
        """The regime of one window; None at standstill, or where a channel that should say it is silent."""
        if not self.channels:
            return ANY
        now = {r.channel: abs(r.values.item(0)) for r in rows if r.kind is Kind.SCALARS}
        speed = self._cell(0, now.get(self._speed), SPEED_STEP, self._speed)
        load = self._cell(1, now.get(self._load), LOAD_STEP, self._load)
        return None if speed is None or load is None else Regime(speed, load)

    def _cell(self, which: int, value: float | None, step: float, channel: str) -> int | None:
        if not channel:
            return 0
        if value is None or not math.isfinite(value):
            return None
        self.highest[which] = highest = max(self.highest[which], value)
        if which == 0 and value <= _STANDSTILL * highest:
            return None
        return round(math.log(max(value, _IDLE * highest, 1e-9)) / step)
