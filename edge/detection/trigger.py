"""When a number becomes a condition (ISA-18.2: on-delay, off-delay, deadband). Pure: no clock, no memory but its own.

Invariants:
- The level rises only after `on_delay` windows in a row at or above a limit, and falls, always to normal, only after
  `off_delay` windows in a row below the deadband under the lower limit.
- Between two changes of the level there are at least min(on_delay, off_delay) windows: it cannot flap.
- A window that says nothing (None) changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NORMAL, WARN, ACT = 0, 1, 2  # zones A and B, C, D


@dataclass(frozen=True, slots=True)
class Limits:
    """What `value` is compared with; `deadband` in its unit, delays in windows."""

    warn: float
    act: float
    deadband: float
    on_delay: int
    off_delay: int

    def of(self, level: int) -> float:
        """Return the limit that was passed to reach a level."""
        return self.act if level >= ACT else self.warn


@dataclass(slots=True)
class Trigger:
    """The level of one condition and the windows that are about to change it."""

    level: int = NORMAL
    above_warn: int = 0
    above_act: int = 0
    below: int = 0

    def update(self, value: float | None, limits: Limits) -> int:
        """Take one window's value and return the level."""
        if value is None or math.isnan(value):
            return self.level
        self.above_warn = min(self.above_warn + 1, limits.on_delay) if value >= limits.warn else 0
        self.above_act = min(self.above_act + 1, limits.on_delay) if value >= limits.act else 0
        self.below = min(self.below + 1, limits.off_delay) if value < limits.warn - limits.deadband else 0
        if self.below >= limits.off_delay:
            self.level = NORMAL
        elif self.above_act >= limits.on_delay:
            self.level = ACT
        elif self.above_warn >= limits.on_delay:
            self.level = max(self.level, WARN)
        return self.level

    def reset(self) -> None:
        """Forget everything: nothing judges any more, or something else does."""
        self.level = self.above_warn = self.above_act = self.below = 0
