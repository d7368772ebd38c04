"""From what deviation on a machine is raised: a day-zero limit, until its own healthy running says that less will do.

Thirty windows cannot tell what a machine does once a year, so day zero's limit is far stricter than its budget. The
first running week can. Alarms need a deviation that lasts: of each hour the highest deviation counts that stood for a
whole on-delay, and what windows in a row have in common stays within their hour. The highest tenth of the hours is
taken for exponential beyond its threshold (peaks over threshold; Coles, An Introduction to Statistical Modeling of
Extreme Values, 2001, chapter 4). With k peaks that exceed it by S in sum, a new one exceeds it by x with a chance of
(1 + x/S)**-k: the exponential's predictive distribution, whose heavier tail is what so few peaks leave unknown.

Invariants:
- A learned limit is never above day zero's: what fails in its first week is judged as before, and a short life is too.
- Nothing is learned after the first running week. Act, which says how bad it is, never moves.
- Where speed and load are known, learned limits hold only in regimes in which the week was run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from edge.detection.config import YEAR_S, DetectionConfig
from edge.detection.regime import ANY, Regime
from edge.detection.trigger import Limits

BLOCKS = 168  # hours of a week
_BLOCK_S = 3600.0
_FEWEST = 20  # windows that make a block; on a slow schedule the block grows
_KNOWN = 180  # windows of the week that make a regime one that it was run in
_MOST_REGIMES = 256  # regimes that are counted
_SHARE = 0.1  # of the blocks lie above the threshold
_LOWEST = 0.4  # of day zero's limit; at one alarm a year about a doubling of the vibration, or 20 % in most features


class Tail(msgspec.Struct, frozen=True):
    """How often and how far the sustained deviation of a healthy machine goes beyond a threshold."""

    threshold: float
    excess: float  # sum over the peaks
    peaks: int
    a_year: float  # peaks in a year of running

    def limit(self, budget: float) -> float:
        """The deviation that is exceeded `budget` times in a year of running."""
        ratio: float = (self.a_year / budget) ** (1.0 / self.peaks)
        return self.threshold + self.excess * (ratio - 1.0)


def tail_of(maxima: Sequence[float], block_s: float) -> Tail:
    """Highest sustained deviation of each block -> the tail beyond the highest tenth of them."""
    peaks = max(int(_SHARE * len(maxima)), 1)
    highest = sorted(maxima, reverse=True)[: peaks + 1]
    excess = sum(highest[:-1]) - peaks * highest[-1]
    return Tail(highest[-1], excess, peaks, peaks / len(maxima) * YEAR_S / block_s)


class OwnLimits:
    """The limits of one machine's deviation; `now` holds for the window that was judged last."""

    def __init__(self, config: DetectionConfig, channels: int) -> None:
        """`channels` is how many of the machine's channels are judged."""
        self._config = config
        self._block_s = max(_BLOCK_S, _FEWEST * config.every_s)
        self._lasted: deque[float] = deque(maxlen=config.on_delay_windows)
        self._maxima: list[float] = []
        self._block, self._count, self._highest = -1, 0, 0.0  # the block that is under way
        self._ran: dict[Regime, int] = {}  # windows of the week in each regime
        self._tail: Tail | None = None
        self.day_zero = config.limit(channels)
        self._first = self._own = self.now = self._from(self.day_zero)

    def update(self, time_ns: int, deviation: float, regime: Regime = ANY) -> Limits:
        """Take the deviation of one judged window at its event time; return the limits that it is held against."""
        if self._tail is None:
            self._learn(time_ns, deviation, regime)
        known = self._tail is not None and self._ran.get(regime, 0) >= _KNOWN
        self.now = self._own if known else self._first
        return self.now

    def _learn(self, time_ns: int, deviation: float, regime: Regime) -> None:
        block = int(time_ns // (self._block_s * 1e9))
        if block != self._block:
            self._close()
            self._block, self._count, self._highest = block, 0, 0.0
        if regime in self._ran or len(self._ran) < _MOST_REGIMES:
            self._ran[regime] = self._ran.get(regime, 0) + 1
        self._lasted.append(deviation)
        self._count += 1
        self._highest = max(self._highest, min(self._lasted))

    def _close(self) -> None:
        if self._count >= _FEWEST:
            self._maxima.append(self._highest)
        if len(self._maxima) >= BLOCKS:
            self._set(tail_of(self._maxima, self._block_s))
            self._maxima = []

    def _set(self, tail: Tail) -> None:
        self._tail, limit = tail, tail.limit(self._config.false_alarms_per_year)
        self._own = self.now = self._from(min(max(limit, _LOWEST * self.day_zero), self.day_zero))

    def _from(self, limit: float) -> Limits:
        c = self._config
        return Limits(limit, self.day_zero * c.act_factor, limit * c.deadband, c.on_delay_windows, c.off_delay_windows)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, for JSON; the limit itself follows from the budget that is configured."""
        return {
            "lasted": list(self._lasted),
            "maxima": self._maxima,
            "block": [self._block, self._count, self._highest],
            "ran": [[*r, n] for r, n in self._ran.items()],
            "tail": self._tail,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._lasted.extend(state["lasted"])
        self._maxima = state["maxima"]
        self._block, self._count, self._highest = state["block"]
        self._ran = {Regime(s, q): n for s, q, n in state["ran"]}
        if state["tail"] is not None:
            self._set(Tail(**state["tail"]))
