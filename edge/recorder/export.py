"""What a flight recorder kept: listed, and written out as files that `forewarn edge replay` reads."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.sensors.formats.flightfile import (
    SUFFIX,
    Header,
    Raw,
    Torn,
    frame_bytes,
    header_bytes,
    read_frames,
    read_header,
)
from edge.types import Machine
from models.errors import RecordingRejected, WrongUse


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a flight recorder."""

    file: Path
    machine: str
    frozen: bool
    reason: str
    windows: int
    first_ns: int
    last_ns: int
    size_bytes: int
    torn: bool  # its end is being written, or was cut off


@dataclass(frozen=True, slots=True)
class Export:
    """One file that was written."""

    file: Path
    machine: str
    windows: int
    left_out: int  # windows from before the machine was wired otherwise


def overview(store: Path, only: Collection[str] = ()) -> list[Kept]:
    """Every file of the store's flight recorder with at least one window, by machine and time; WrongUse without one."""
    found = [k for file in _files(store) if (k := _kept(file)) is not None and (not only or k.machine in only)]
    return sorted(found, key=lambda k: (k.machine, k.first_ns, k.frozen))


def _files(store: Path) -> list[Path]:
    folder = store / "flight"
    if not folder.is_dir():
        raise WrongUse(
            "there is no flight recorder in this store", where=str(store), mend="set `flight.quota_bytes` on the device"
        )
    return sorted(folder.glob(f"*/*/*{SUFFIX}"))


def _kept(file: Path) -> Kept | None:
    try:
        header = read_header(file)
        size = file.stat().st_size
    except (RecordingRejected, FileNotFoundError):  # torn at once, or dropped by the agent since it was listed
        return None
    times = [raw.time_ns for raw in _until_torn(file)]
    if not times:
        return None
    frozen = file.parent.name == "frozen"
    torn = _is_torn(file)
    return Kept(file, header.machine.name, frozen, header.reason, len(times), min(times), max(times), size, torn)


def _until_torn(file: Path) -> Iterator[Raw]:
    try:
        yield from read_frames(file)
    except (Torn, FileNotFoundError):
        return


def _is_torn(file: Path) -> bool:
    try:
        for _ in read_frames(file):
            pass
    except Torn:
        return True
    except FileNotFoundError:
        return False
    return False


def export(store: Path, out: Path, *, only: Collection[str] = (), frozen_only: bool = False) -> list[Export]:
    """Write one file a machine, each window once, in the order of time; returns what was written.

    Windows that were taken while the machine was wired otherwise are left out, and counted. WrongUse when there is
    nothing to write, or `out` has such a file already.
    """
    kept = [k for k in overview(store, only) if k.frozen or not frozen_only]
    if not kept:
        raise WrongUse("the flight recorder has no such window", where=str(store), mend="`forewarn edge flight list`")
    out.mkdir(parents=True, exist_ok=True)
    names = sorted({k.machine for k in kept})
    for name in names:
        if (out / f"{name}{SUFFIX}").exists():
            raise WrongUse("is there already", where=str(out / f"{name}{SUFFIX}"), mend="name another folder")
    return [_write(out / f"{name}{SUFFIX}", name, [k for k in kept if k.machine == name]) for name in names]


def _write(file: Path, name: str, kept: list[Kept]) -> Export:
    newest = max(kept, key=lambda k: k.last_ns)
    machine = read_header(newest.file).machine
    places: dict[int, tuple[Path, int]] = {}  # event time: file and number of the frame
    left_out = 0
    for one in kept:
        if not _same(read_header(one.file).machine, machine):
            left_out += one.windows
            continue
        for number, raw in enumerate(_until_torn(one.file)):
            places.setdefault(raw.time_ns, (one.file, number))
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        stream.write(header_bytes(Header(machine)))
        for raw in _in_order(places):
            stream.write(frame_bytes(raw))
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(file)
    return Export(file, name, len(places), left_out)


def _same(one: Machine, other: Machine) -> bool:
    return one.channels == other.channels


def _in_order(places: dict[int, tuple[Path, int]]) -> Iterator[Raw]:
    """The frames in the order of their times, holding one file in memory at a time."""
    at: Path | None = None
    frames: list[Raw] = []
    for time_ns in sorted(places):
        file, number = places[time_ns]
        if file != at:
            at, frames = file, list(_until_torn(file))
        if number < len(frames):
            yield frames[number]
