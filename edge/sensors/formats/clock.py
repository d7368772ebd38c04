"""A rig's clock of the day, made into time since the start; a clock that jumps is noticed and not believed."""

from __future__ import annotations

from dataclasses import dataclass

from edge.types import Quality

DAY_S = 86_400.0
_BELIEVED_AGAIN = 3  # windows in a row that a jumped clock must run on evenly before it is followed


@dataclass(slots=True)
class DayClock:
    """Seconds since the first window; a step back of less than half a day is a fault, of more a midnight."""

    every_s: float  # the schedule, by which time goes on while the clock is wrong
    offset_s: float = 0.0
    _trusted: float | None = None  # the last believed reading and its offset
    _trusted_offset_s: float = 0.0
    _before: float = 0.0
    _doubted: int = 0

    def advance(self, of_day_s: float) -> Quality:
        """Take the next window's reading; SUSPECT_CLOCK when its offset comes from the schedule."""
        if self._trusted is None:
            self._trusted = self._before = of_day_s
            return Quality.GOOD
        moved = (of_day_s - self._trusted) % DAY_S
        step = (of_day_s - self._before) % DAY_S
        self._before = of_day_s
        if 0 < moved < DAY_S / 2 and self._trusted_offset_s + moved > self.offset_s:
            self.offset_s = self._trusted_offset_s + moved
            self._believe(of_day_s)
            return Quality.GOOD
        self.offset_s += self.every_s
        even = abs(step - self.every_s) < 0.5 * self.every_s
        self._doubted = self._doubted + 1 if even else 0
        if self._doubted >= _BELIEVED_AGAIN:
            self._believe(of_day_s)
        return Quality.SUSPECT_CLOCK

    def _believe(self, of_day_s: float) -> None:
        self._trusted, self._trusted_offset_s, self._doubted = of_day_s, self.offset_s, 0
