"""Raw samples for the cloud at a steady pace, so that new features can be computed over a machine's past."""

from __future__ import annotations

from edge.types import Window


class Snapshots:
    """Says when a machine's raw window is due; the first a period after the first window."""

    def __init__(self, every_hours: float) -> None:
        """`every_hours` 0 is never."""
        self._every_ns = round(every_hours * 3600e9)
        self._last_ns: int | None = None

    def due(self, window: Window) -> bool:
        """Whether this window is one to send; also after the clock was set back by more than a period."""
        if not self._every_ns:
            return False
        if self._last_ns is None:
            self._last_ns = window.time_ns
            return False
        if abs(window.time_ns - self._last_ns) < self._every_ns:
            return False
        self._last_ns = window.time_ns
        return True

    def dump(self) -> bytes:
        """The state, for `load` after a restart."""
        return str(self._last_ns or "").encode()

    def load(self, data: bytes) -> None:
        """Continue from `dump`; ValueError when it is no such state."""
        self._last_ns = int(data) if data else None
