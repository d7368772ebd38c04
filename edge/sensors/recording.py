"""A recording is a machine that has already been listened to; replaying it is a sensor like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.sensors import RECORDING_START_NS
from edge.sensors.pace import Pace
from edge.types import FloatArray, Machine, Quality, Window


@dataclass(frozen=True, slots=True)
class Reading:
    """A window before its machine and its place in absolute time are known."""

    offset_ns: int  # since the recording's start, by its own clock
    samples: Mapping[str, FloatArray]
    quality: Quality = Quality.GOOD
    faulty: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One machine's recording; `count` and `last_offset_ns` are known once it was read to its end."""

    machine: Machine
    path: Path
    read: Callable[[], Iterator[Reading]] = field(repr=False)  # raises RecordingRejected
    dated_ns: int | None = None  # the recording's own start, where it knows its date
    called: Mapping[str, str] = field(default_factory=dict)  # what the file calls the record of each channel
    count: int = 0
    last_offset_ns: int = 0

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.machine.name

    @property
    def start_ns(self) -> int:
        """Event time of the first window unless `open` is told another: the recording's date, or 2020-01-01."""
        return self.dated_ns if self.dated_ns is not None else RECORDING_START_NS

    @property
    def last_ns(self) -> int:
        """Event time of the last window; for a run to failure, the time of the failure."""
        return self.start_ns + self.last_offset_ns

    @property
    def every_s(self) -> float | None:
        """Seconds between windows, the mean; None for a single window or one without a clock."""
        spaces = self.count - 1
        return self.last_offset_ns * 1e-9 / spaces if spaces > 0 and self.last_offset_ns else None

    def open(self, speed: float | None = None, *, start_ns: int | None = None) -> Replay:
        """A sensor that replays it: `speed` 1 in real time, None as fast as possible."""
        return Replay(self, Pace(speed), self.start_ns if start_ns is None else start_ns)

    def checked(self) -> Recording:
        """The same recording, read once to its end; raises RecordingRejected before a window was sent anywhere."""
        count, last = 0, 0
        for reading in self.read():
            count, last = count + 1, max(last, reading.offset_ns)
        return replace(self, count=count, last_offset_ns=last)


class Replay:
    """A recording as a sensor; event times are the recording's spacing after `start_ns`."""

    def __init__(self, recording: Recording, pace: Pace, start_ns: int) -> None:
        self.machine = recording.machine
        self._recording = recording
        self._pace = pace
        self._start_ns = start_ns
        self._after_ns: int | None = None

    def resume(self, after_ns: int) -> None:
        """Read over what was taken, without waiting for its time."""
        self._after_ns = after_ns

    def windows(self) -> Iterator[Window]:
        """The recording's windows as they fall due."""
        for reading in self._recording.read():
            if self._after_ns is not None and self._start_ns + reading.offset_ns <= self._after_ns:
                continue
            if not self._pace.until(reading.offset_ns * 1e-9):
                return
            yield Window(
                machine=self.machine.name,
                time_ns=self._start_ns + reading.offset_ns,
                samples=reading.samples,
                quality=reading.quality,
                faulty=reading.faulty,
            )

    def close(self) -> None:
        """End `windows`."""
        self._pace.close()
