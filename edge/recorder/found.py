"""Finds windows of a time in a flight recorder that is being written: which there are, and which to take.

Files may go while they are read, as the ring moves on: what went is not found, and nothing else is disturbed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path

from edge.sensors.formats.flightfile import SUFFIX, Raw, Torn, read_frames, read_header, samples_in, unpack
from edge.types import Machine, Window
from models.errors import RecordingRejected


@dataclass(frozen=True, slots=True)
class Place:
    """Where one window lies."""

    time_ns: int
    file: Path
    number: int  # of the frame in its file
    samples: int  # of all channels


def held(folder: Path, from_ns: int, to_ns: int) -> list[Place]:
    """Every window of one machine's recorder between two event times, both included, each once, in their order."""
    found: dict[int, Place] = {}
    for shelf in ("frozen", "ring"):  # what is in both is taken from where it stays longer
        for file in _of_time(sorted((folder / shelf).glob(f"*{SUFFIX}")), from_ns, to_ns):
            for number, raw in enumerate(_whole(file)):
                if from_ns <= raw.time_ns <= to_ns:
                    found.setdefault(raw.time_ns, Place(raw.time_ns, file, number, samples_in(raw)))
    return [found[time_ns] for time_ns in sorted(found)]


def _of_time(files: Sequence[Path], from_ns: int, to_ns: int) -> Iterator[Path]:
    """Without those whose first window, and the next file's, say that they hold nothing of the time."""
    firsts = [next((raw.time_ns for raw in _whole(file)), None) for file in files]
    for file, first, after in zip_longest(files, firsts, firsts[1:]):
        if first is None or first > to_ns or (after is not None and first <= after <= from_ns):
            continue
        yield file


def _whole(file: Path) -> Iterator[Raw]:
    """The frames of a file up to where it is torn, or being written."""
    try:
        yield from read_frames(file)
    except (Torn, RecordingRejected, FileNotFoundError):
        return


def nearest(places: Iterable[Place], middle_ns: int, *, most: int, most_samples: int) -> list[Place]:
    """At most so many, the nearest to a time, in their order."""
    chosen: list[Place] = []
    samples = 0
    for place in sorted(places, key=lambda p: (abs(p.time_ns - middle_ns), p.time_ns)):
        samples += place.samples
        if len(chosen) == most or samples > most_samples:
            break
        chosen.append(place)
    return sorted(chosen, key=lambda p: p.time_ns)


def load(places: Sequence[Place], machine: str) -> Iterator[tuple[Machine, Window]]:
    """The windows, and the machine as it was wired then, one at a time; those that went, or fail, are left out."""
    for file, group in groupby(places, key=lambda p: p.file):
        wanted = {p.number for p in group}
        try:
            wired = read_header(file).machine
        except (RecordingRejected, FileNotFoundError):
            continue
        for number, raw in enumerate(_whole(file)):
            if number in wanted:
                try:
                    yield wired, unpack(raw, machine)
                except ValueError:
                    continue
