"""One alarm from raised to closed. Pure.

Invariants:
- At most one key is alive. Its changes read: raised, worsened at most once, returned to normal; then, for as long as
  nobody has acknowledged it, a condition that comes back raises the same alarm again instead of a new one.
- The level of an open alarm never falls; it closes only when the condition is gone.
- Keys are unique on the device: a random part per life of this state, and a count.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from edge.detection.trigger import NORMAL
from edge.types import AlarmChange


def _random() -> str:
    return os.urandom(5).hex()


@dataclass(slots=True)
class Latch:
    """The alarm of one condition; `name` is where it stands, as the first part of its keys."""

    name: str
    life: str = field(default_factory=_random)
    count: int = 0
    key: str = ""  # of the alarm that is open, or returned and not yet acknowledged
    level: int = NORMAL  # the worst since it was raised; NORMAL: not open
    acknowledged: bool = False

    def update(self, level: int) -> AlarmChange | None:
        """Take the condition's level and return what changed."""
        if level == NORMAL:
            return self._close()
        if level <= self.level:
            return None
        change = AlarmChange.RAISED if self.level == NORMAL else AlarmChange.WORSENED
        self.level = level
        if not self.key or (change is AlarmChange.RAISED and self.acknowledged):
            self.count += 1
            self.key = f"{self.name}/{self.life}-{self.count}"
            self.acknowledged = False
        return change

    def _close(self) -> AlarmChange | None:
        if self.level == NORMAL:
            return None
        self.level = NORMAL
        return AlarmChange.RETURNED_TO_NORMAL

    def acknowledge(self, key: str) -> bool:
        """Somebody has seen the alarm; True when it is the one that is alive."""
        if not self.key or key != self.key:
            return False
        self.acknowledged = True
        return True
