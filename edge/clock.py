"""Whether this device's clock can be believed. What it says is used and flagged in any case; nothing is dropped.

Two things are believed more than a clock: that time goes on evenly (the kernel's steady clock), and that it is later
than when this software was made and when this device was last sure (a floor in the store). A clock that leaves its line
is in doubt until it is back on it, a time service of the kernel vouches for it, or it has run evenly for a day.
A restart starts a new line: a clock above the floor is believed, since a device may have been off for a year, unless
it was in doubt before.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from edge.types import Quality, Window

EARLIEST_S = 1_767_225_600  # 2026-01-01: no device has run this software before
_STEP_NS = 60 * 10**9  # what a clock may be moved by without being doubted
_AHEAD_NS = 600 * 10**9  # a measurement from so far in the future is in doubt; the cloud refuses it
_ASK_NS = 30 * 10**9  # between two questions to the kernel
_EVEN_NS = 86_400 * 10**9
_CLOCK_NOT_KEPT = 5  # adjtimex(2): TIME_ERROR
_MINUTE_NS = 60 * 10**9
_log = structlog.get_logger()


def kept_by_a_time_service() -> bool | None:
    """Whether the kernel says so; None where it cannot be asked."""
    try:
        return bool(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) != _CLOCK_NOT_KEPT)
    except (OSError, AttributeError):
        return None


def _steady_ns() -> int:
    """Goes on while the device sleeps, where there is such a clock."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Sure:
    """When a device was last sure of its clock, and whether it doubted it afterwards."""

    at_s: int
    doubted: bool = False

    @classmethod
    def read(cls, kept: bytes | None) -> Sure:
        """What `DeviceClock.state` gave in an earlier run; what is no such thing is not believed."""
        minutes, _, doubted = (kept or b"").partition(b" ")
        return cls(max(int(minutes) * 60 if minutes.isdigit() else 0, EARLIEST_S), bool(doubted))


class DeviceClock:
    """The one clock of a device; any thread may call anything."""

    def __init__(
        self,
        kept: bytes | None = None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = _steady_ns,
        vouched: Callable[[], bool | None] = kept_by_a_time_service,
    ) -> None:
        """`kept` is what `state` gave in an earlier run."""
        self._wall_ns, self._steady_ns, self._vouched = wall_ns, steady_ns, vouched
        self._lock = threading.Lock()
        before = Sure.read(kept)
        now, self._sure_at = wall_ns(), steady_ns()  # the steady clock when it was last sure
        self._sure_ns = before.at_s * 10**9  # the last time that was believed
        self._behind = now < self._sure_ns  # since the start
        self._doubted_at: int | None = None
        self._off_ns = 0  # how far off its line, when the doubt began
        self._asked_at: int | None = None
        if self._behind or before.doubted:
            self._doubt(self._sure_at, now - self._sure_ns)
        else:
            self._sure_ns = now

    @property
    def suspect(self) -> bool:
        """Whether the clock is in doubt now."""
        with self._lock:
            self._look()
            return self._doubted_at is not None

    def check(self, window: Window) -> Window:
        """The same window, flagged when the clock is in doubt, or its own time cannot be true."""
        wall = self._wall_ns()
        true = EARLIEST_S * 10**9 <= window.time_ns <= wall + _AHEAD_NS
        if true and not self.suspect:
            return window
        return replace(window, quality=window.quality | Quality.SUSPECT_CLOCK)

    def best_s(self, window: Window) -> float:
        """Seconds since 1970 to reckon a machine's age with: the window's own time, or where that is in doubt, ours."""
        if not window.quality & Quality.SUSPECT_CLOCK:
            return window.time_ns * 1e-9
        with self._lock:
            self._look()
            return (self._sure_ns + self._steady_ns() - self._sure_at) * 1e-9

    def state(self) -> dict[str, bytes]:
        """The floor for the next start, in whole minutes, so that it changes seldom."""
        with self._lock:
            doubted = "" if self._doubted_at is None else " doubted"
            return {"clock": f"{self._sure_ns // _MINUTE_NS}{doubted}".encode()}

    def _look(self) -> None:
        """Compare with the line that the clock was on; the lock is held."""
        wall, steady = self._wall_ns(), self._steady_ns()
        off = wall - (self._sure_ns + steady - self._sure_at)
        if self._doubted_at is not None and (abs(off) <= _STEP_NS or self._settled(wall, steady)):
            _log.info("clock believed again", moved_s=off // 10**9)
            self._doubted_at, self._behind = None, False
        elif abs(off - self._off_ns) > _STEP_NS:
            self._doubt(steady, off)
        if self._doubted_at is None:
            self._sure_ns, self._sure_at, self._off_ns = wall, steady, 0

    def _doubt(self, steady: int, off: int) -> None:
        _log.warning("clock in doubt, its times are flagged", off_s=off // 10**9)
        self._doubted_at, self._off_ns = steady, off

    def _settled(self, wall: int, steady: int) -> bool:
        """Whether a clock off its line is believed all the same."""
        assert self._doubted_at is not None
        if wall < EARLIEST_S * 10**9:
            return False
        if steady - self._doubted_at >= _EVEN_NS or (self._behind and wall >= self._sure_ns):
            return True
        if self._asked_at is not None and steady - self._asked_at < _ASK_NS:
            return False
        self._asked_at = steady
        return self._vouched() is True
