"""When a copy of what one machine has taught its device goes to the cloud, and whether an earlier one is asked for.

Rules without I/O. A copy is due when learning ends, when a baseline begins anew (so that the newest copy says so, and
no older one comes back after a repair), when an alarm of the machine changes, and once a period. An earlier one is
asked for from a machine's first window until it has learned by itself, or was told to begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.types import SENSOR, Alarm


class _Kept(msgspec.Struct, frozen=True):
    """What outlives a restart."""

    last_ns: int | None = None  # event time of the last copy of a machine that had learned
    begins: bool = False  # a copy that says "begin anew" is due
    asking: bool = False


class Copies:
    """One machine's; `asking` may be read from any thread."""

    def __init__(self, every_hours: float, *, live: bool) -> None:
        """`every_hours` 0, and what is no live source: no copy is ever due, and none is asked for."""
        self._every_ns = round(every_hours * 3600e9) if live else 0
        self._now = self._before = _Kept(asking=bool(self._every_ns))

    @property
    def asking(self) -> bool:
        """Whether what an earlier device had learned would be taken over."""
        return self._now.asking

    def restore(self, kept: bytes | None, *, known: bool) -> None:
        """Continue from `state`; a store that `known` the machine before there were copies asks for none."""
        if kept is not None and self._every_ns:
            self._now = msgspec.json.decode(kept, type=_Kept)
        elif known:
            self._now = _Kept()

    def begin_anew(self) -> None:
        """The machine was repaired: what was learned is void."""
        self._now = _Kept(begins=bool(self._every_ns))

    def due(self, time_ns: int, *, learned: bool, alarms: Sequence[Alarm]) -> bool:
        """Whether a copy goes with this window; `lost` takes it back."""
        now = self._before = self._now
        if not self._every_ns or not (learned or now.begins):
            return False
        late = now.last_ns is None or abs(time_ns - now.last_ns) >= self._every_ns
        if not (now.begins or late or any(a.part != SENSOR for a in alarms)):
            return False
        self._now = _Kept(last_ns=time_ns if learned else None)
        return True

    def lost(self) -> None:
        """The window was not kept, nor was its copy: it is due with the next one."""
        self._now = self._before

    def state(self) -> bytes:
        """What must outlive a restart, kept in the window's transaction."""
        return msgspec.json.encode(self._now)
