"""Reads what the charts need from the lake: no oftener than a person notices, no more than a screen holds.

A time that its device doubted and that cannot be true is not drawn: one row of 2085 would shrink a trend to a dot.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cloud.quality import SUSPECT_CLOCK
from cloud.web.drawing import BINS, EMPTY, Array, Bands, Series, series
from models.features import ASSESSMENT, HEALTH, SCALAR

if TYPE_CHECKING:
    from cloud.lake.reader import Lake

T = TypeVar("T")
_S = 1_000_000_000
_HEARTBEAT_S = 6 * 3600
_AHEAD_S, _BEHIND_S = 600, 365 * 86_400  # of its receipt, where a doubted time can be true
_SPECTRUM_LOOKS_BACK_S = (2 * 3600, 48 * 3600, None)
_KIND = {
    s.id: kind for kind, specs in (("assessment", ASSESSMENT), ("health", HEALTH), ("scalars", SCALAR)) for s in specs
}


def kind_of(metric: str) -> str:
    """Return the record kind that carries a feature."""
    return _KIND.get(metric, "features")


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One amplitude spectrum: `amplitude` (n,) in the channel's unit, RMS; line i lies at i x `step_hz`."""

    time_ns: int
    step_hz: float
    amplitude: Array


@dataclass(frozen=True, slots=True)
class Point:
    """Where something is measured; an empty channel is the machine as a whole."""

    site: str
    machine: str
    channel: str


@dataclass(frozen=True, slots=True)
class Waveform:
    """Raw samples (n,) of one channel, in its unit; sample i was taken at `time_ns` and i x `step_s`."""

    time_ns: int
    step_s: float
    values: Array


@dataclass(frozen=True, slots=True)
class RawWindows:
    """What a device sent of its flight recorder: event times of one channel, sorted, and one of its windows."""

    times_ns: list[int]
    channel: str
    shown: Waveform


class Memory:
    """Remembers answers for a few seconds: many people who look at the same page cost one read."""

    def __init__(self, seconds: float, entries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._entries = entries
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the remembered answer, or make it; two threads may both make it, neither waits for the other."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._clock() - kept[0] < self._seconds:
                value: T = kept[1]
                return value
        made = make()
        with self._lock:
            self._kept[key] = (self._clock(), made)
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)
        return made


class Histories:
    """What machines did, from the lake."""

    def __init__(self, lake: Lake, memory: Memory) -> None:
        self._lake = lake
        self._memory = memory

    def trend(self, at: Point, metric: str, since_ns: int | None, *, bins: int = BINS[-1]) -> Bands:
        """Return one metric since an event time (None: all there is), in at most so many parts."""
        key = ("trend", at, metric, bins, None if since_ns is None else since_ns // (10 * _S))
        return self._memory.get(key, lambda: self._trend(at, metric, since_ns).bands(bins))

    def heartbeats(self, machines: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str], Array]:
        """Return the deviations (robust z) of each (site, machine, newest event time) over its last six hours."""
        found: dict[tuple[str, str], Array] = {}
        for site in sorted({site for site, _, _ in machines}):
            newest = {name: ns for s, name, ns in machines if s == site}
            key = ("heartbeats", site, tuple(sorted(newest)))
            found |= self._memory.get(key, partial(self._heartbeats, site, newest))
        return found

    def spectrum(self, at: Point, newest_ns: int) -> Spectrum | None:
        """Return the newest spectrum of a channel; `newest_ns` is the machine's newest event time."""
        return self._memory.get(("spectrum", at), lambda: self._spectrum(at, newest_ns))

    def _rows(self, kind: str, **chosen: Any) -> Any:
        """The lake's rows whose times can be true."""
        table = self._lake.rows(kind, **chosen)
        doubted = table["quality"].to_numpy() & SUSPECT_CLOCK != 0
        if not doubted.any():
            return table
        behind_ns = table["received_ns"].to_numpy() - table["event_time_ns"].to_numpy()
        possible = (behind_ns >= -_AHEAD_S * _S) & (behind_ns <= _BEHIND_S * _S)
        return table.filter(pa.array(possible | ~doubted | table["replay"].to_numpy()))

    def raw(self, at: Point, source: str, span_ns: tuple[int, int], middle_ns: int) -> RawWindows | None:
        """Return what was sent for an order between two event times (both included), if anything came.

        The window that is shown is the last that began before `middle_ns`, else the first.
        """
        key = ("raw", at, source)
        return self._memory.get(key, lambda: self._raw(at, source, span_ns, middle_ns))

    def _raw(self, at: Point, source: str, span_ns: tuple[int, int], middle_ns: int) -> RawWindows | None:
        first, last = span_ns
        table = self._lake.rows("waveform", site=at.site, machines=[at.machine], since_ns=first, until_ns=last + 1)
        sent = table.filter(pc.equal(table["source"], source))
        channels = set(sent["channel"].to_pylist())
        if not channels:
            return None
        channel = at.channel if at.channel in channels else min(channels)
        here = sent.filter(pc.equal(sent["channel"], channel)).sort_by("event_time_ns")
        times = here["event_time_ns"].to_pylist()
        row = here.slice(max(bisect_right(times, middle_ns) - 1, 0), 1).to_pylist()[0]
        values = np.asarray(row["values"], float) * row["scale"]
        return RawWindows(times, channel, Waveform(row["event_time_ns"], row["step"], values))

    def _trend(self, at: Point, metric: str, since_ns: int | None) -> Series:
        kind = kind_of(metric)
        table = self._rows(kind, site=at.site, machines=[at.machine], columns=[metric], since_ns=since_ns)
        if metric not in table.column_names:
            return EMPTY
        here = table.filter(pc.equal(table["channel"], at.channel))
        return series(here["event_time_ns"].to_numpy(), here[metric].to_numpy().astype(float))

    def _heartbeats(self, site: str, newest: dict[str, int]) -> dict[tuple[str, str], Array]:
        since = min(newest.values()) - _HEARTBEAT_S * _S
        table = self._rows("health", site=site, machines=list(newest), columns=["deviation@1"], since_ns=since)
        if "deviation@1" not in table.column_names:
            return {}
        found = {}
        for name, last in newest.items():
            here = table.filter(pc.equal(table["machine"], name))
            beat = series(here["event_time_ns"].to_numpy(), here["deviation@1"].to_numpy().astype(float))
            recent = beat.value[beat.time_s >= last / _S - _HEARTBEAT_S]
            if len(recent):
                found[site, name] = recent
        return found

    def _spectrum(self, at: Point, newest_ns: int) -> Spectrum | None:
        for seconds in _SPECTRUM_LOOKS_BACK_S:
            since = None if seconds is None else newest_ns - seconds * _S
            table = self._rows("spectrum", site=at.site, machines=[at.machine], since_ns=since)
            here = table.filter(pc.equal(table["channel"], at.channel))
            if len(here):
                row = here.take([int(here["event_time_ns"].to_numpy().argmax())]).to_pylist()[0]
                amplitude = np.asarray(row["values"], float) * row["scale"]
                return Spectrum(row["event_time_ns"], row["step"], amplitude)
        return None
