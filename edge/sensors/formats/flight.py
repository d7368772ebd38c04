"""What a device's flight recorder kept, as a recording: the very windows, at their own times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.sensors.formats import flightfile
from edge.sensors.formats.options import Options
from edge.sensors.recording import Reading, Recording
from models.errors import RecordingRejected


def recordings(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """The recording of one file; the machine's class is the file's own. RecordingRejected when it cannot be read."""
    machine = flightfile.read_header(path).machine
    first = next(_frames(path), None)

    def read() -> Iterator[Reading]:
        for number, raw in enumerate(_frames(path)):
            try:
                window = flightfile.unpack(raw, machine.name)
            except ValueError as e:
                raise RecordingRejected(
                    f"a window is damaged: {e}", where=f"{path}:{number}", mend="export it again"
                ) from e
            offset = raw.time_ns - first.time_ns if first is not None else 0
            yield Reading(offset, window.samples, window.quality, window.faulty)

    dated = first.time_ns if first is not None else None
    return [Recording(machine=machine, path=path, read=read, dated_ns=dated)]


def _frames(path: Path) -> Iterator[flightfile.Raw]:
    try:
        yield from flightfile.read_frames(path)
    except flightfile.Torn as e:
        raise RecordingRejected(
            "is cut short or damaged", where=f"{path}: byte {e.at}", mend="`forewarn edge flight export` mends it"
        ) from e
