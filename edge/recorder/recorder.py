"""One machine's flight recorder: every window into the ring, those around an alarm onto a shelf of their own.

It writes in the sampling thread, without fsync: what a killed process wrote is kept, a power cut may cost the last
seconds. How many windows are still to be kept apart is part of the machine's state: a restart goes on with them. A disk
that fails costs the recording, never the listening.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from edge.recorder.config import FlightConfig
from edge.recorder.shelf import Shelf
from edge.sensors.formats.flightfile import Header, Raw, pack
from edge.types import Alarm, AlarmChange, Machine, Window
from models.errors import RecordingRejected

_FILES = 16  # the ring has at least so many, so that dropping the oldest costs little of it
_log = structlog.get_logger()


class FlightRecorder:
    """Keeps a machine's raw windows below `folder`, a quota's share each for ring and frozen windows."""

    def __init__(self, folder: Path, machine: Machine, config: FlightConfig, *, share: float = 1.0) -> None:
        """`share` of the quotas is this machine's. OSError when the folder cannot be used."""
        self._machine = machine
        self._config = config
        self._slice_ns = round(config.slice_seconds * 1e9)
        quota = int(config.quota_bytes * share)
        self._longest = quota // _FILES
        self._ring = Shelf(folder / "ring", quota)
        self._frozen = Shelf(folder / "frozen", int(config.frozen_quota_bytes * share))
        self._slice: int | None = None
        self._after = 0  # windows still to be kept apart
        self._reason = ""  # of the last alarm
        self._failing = False

    def take(self, window: Window, alarms: Sequence[Alarm]) -> None:
        """Record one window, and freeze around it if an alarm was raised or worsened."""
        try:
            self._take(pack(window), alarms)
        except OSError as e:
            self._slice = None
            if not self._failing:
                _log.error("flight recorder: not recorded, listening on", machine=self._machine.name, reason=str(e))
            self._failing = True
        else:
            self._failing = False

    def _take(self, raw: Raw, alarms: Sequence[Alarm]) -> None:
        self._record(raw)
        worse = [a for a in alarms if a.change is not AlarmChange.RETURNED_TO_NORMAL]
        if worse:
            self._freeze(raw, worse[0])
        elif self._after:
            self._after -= 1
            self._keep_apart(raw)
            if not self._after:
                self._frozen.end()

    def _record(self, raw: Raw) -> None:
        now = raw.time_ns // self._slice_ns
        if now != self._slice or not self._ring.writing or self._ring.open_bytes > self._longest:
            self._ring.begin(Header(self._machine))
            self._slice = now
        self._ring.add(raw)

    def _freeze(self, raw: Raw, alarm: Alarm) -> None:
        """Begin a file with the windows before the alarm; one that is still being written is continued instead."""
        if self._after and self._frozen.writing:
            self._keep_apart(raw)
        else:
            self._reason = f"{alarm.key} {alarm.change.name.lower()} {alarm.severity}"
            self._frozen.begin(Header(self._machine, self._reason))
            before = [r for r in self._ring.newest(self._config.windows_before + 1) if r.time_ns != raw.time_ns]
            for one in [*before, raw]:
                self._keep_apart(one)
        self._after = self._config.windows_after
        if not self._after:
            self._frozen.end()

    def _keep_apart(self, raw: Raw) -> None:
        if self._frozen.writing:  # not after one alarm alone was larger than the quota
            self._frozen.add(raw)

    def state(self) -> bytes:
        """What is still to be kept apart, for `restore` after a restart."""
        return msgspec.json.encode([self._after, self._reason])

    def restore(self, data: bytes) -> None:
        """Go on keeping apart where an earlier run stopped; ValueError when it is no such state."""
        after, self._reason = msgspec.json.decode(data, type=tuple[int, str])
        if not after:
            return
        try:
            self._frozen.go_on(Header(self._machine, self._reason))
        except (OSError, RecordingRejected) as e:
            _log.error("flight recorder: cannot go on with an alarm", machine=self._machine.name, reason=str(e))
        else:
            self._after = after

    def close(self) -> None:
        """Close the files."""
        self._ring.end()
        self._frozen.end()
