"""Between a machine's loop and the outbox: groups windows where that costs nobody time, and outlives a full disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from edge import wire
from edge.machine.ledger import Ledger
from edge.outbox import Outbox, Parcel
from edge.types import Alarm, Record
from models.errors import Unavailable

_MOST_WINDOWS = 64  # in one transaction
_LONGEST_S = 0.2  # that a window of a hurried source waits for others
_WAIT_STEP_S = 0.5
_log = structlog.get_logger()


class Keeper:
    """Keeps one machine's windows: a live one at once, those of a hurried source in groups."""

    def __init__(
        self,
        outbox: Outbox,
        ledger: Ledger,
        *,
        replay: bool,
        hurried: bool,
        simulated: bool,
        high_water_bytes: int,
        stopping: threading.Event,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """A hurried source waits while more than `high_water_bytes` are kept: a replay never overruns the quota."""
        self._outbox = outbox
        self._ledger = ledger
        self._replay, self._hurried, self._simulated = replay, hurried, simulated
        self._high_water = high_water_bytes
        self._stopping = stopping
        self._clock_s = clock_s
        self._records: list[Record] = []
        self._alerts: list[Parcel] = []
        self._windows = 0
        self._since_s = 0.0
        self._failing = False

    @property
    def failing(self) -> bool:
        """Whether the last windows found no room on the disk."""
        return self._failing

    def add(self, records: Sequence[Record], alarms: Sequence[Alarm]) -> bool:
        """Take one window; True when it is time to `flush`."""
        if not self._windows:
            self._since_s = self._clock_s()
        self._windows += 1
        self._records += records
        for alarm in alarms:
            self._alerts.append(wire.alert_parcel(alarm, replay=self._replay, simulated=self._simulated))
        full = self._windows >= _MOST_WINDOWS or self._clock_s() - self._since_s >= _LONGEST_S
        return not self._hurried or full or bool(alarms)

    def flush(self, state: Mapping[str, bytes]) -> bool:
        """Keep what was taken together with the state that follows from it; nothing taken, nothing done.

        False when it could not be kept.

        On a disk without room the outbox counts what is lost and reports it later; the machine is listened to as ever.
        """
        if not self._windows:
            return True
        while self._hurried and not self._stopping.is_set():
            if self._outbox.wait_below(self._high_water, _WAIT_STEP_S):
                break
        parcels = [*self._alerts, *wire.pack(self._records, replay=self._replay)]
        schemas = {r.schema.id: r.schema for r in self._records if r.schema}
        everything = dict(wire.schema_state(s) for s in schemas.values()) | dict(state)
        self._records, self._alerts, self._windows = [], [], 0
        try:
            kept = self._outbox.append(parcels, everything)
        except Unavailable as e:
            if not self._failing:
                _log.error("records not kept, listening on", reason=str(e))
            self._failing = True
            return False
        self._failing = False
        self._ledger.note(kept, parcels)
        return True
