"""Where windows come from: the one interface that a simulator, a recording or a bus driver implements.

A sensor paces itself: `windows` blocks until the next window is due, and ends when the source does or `close` is called
from another thread. Event times are the source's own: a recording without a date starts at `RECORDING_START_NS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from edge.types import Machine, Window

RECORDING_START_NS = 1_577_836_800_000_000_000  # 2020-01-01T00:00:00Z, for sources that know no date


class Sensor(Protocol):
    """A machine that can be listened to."""

    @property
    def machine(self) -> Machine:
        """What is known of the machine before the first window."""
        ...

    def resume(self, after_ns: int) -> None:
        """Begin `windows` behind this event time, at once: a recording or a simulation was heard up to there.

        Called before `windows`, after a restart; a live source, whose time does not repeat, does nothing.
        """
        ...

    def windows(self) -> Iterator[Window]:
        """The windows as they fall due; raises RecordingRejected when a recording turns out to be unusable."""
        ...

    def close(self) -> None:
        """End `windows` soon, from any thread; may be called twice."""
        ...
