"""The clocks of a device, to be set and moved by a test."""

from __future__ import annotations

from edge.clock import EARLIEST_S, DeviceClock
from edge.types import Window

NOW_S = EARLIEST_S + 200 * 86_400


class Clocks:
    """A wall clock that anybody may set, a steady one, and a time service that may vouch for the first."""

    def __init__(self, wall_s: float = NOW_S) -> None:
        self.wall_s, self.steady_s, self.vouched, self.asked = wall_s, 1000.0, False, 0

    def device(self, kept: bytes | None = None) -> DeviceClock:
        return DeviceClock(
            kept, wall_ns=lambda: int(self.wall_s * 1e9), steady_ns=lambda: int(self.steady_s * 1e9), vouched=self._ask
        )

    def _ask(self) -> bool:
        self.asked += 1
        return self.vouched

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds

    def heard(self, device: DeviceClock) -> Window:
        """A window that was measured now, as the clock has it."""
        return device.check(Window(machine="m", time_ns=int(self.wall_s * 1e9), samples={}))
