"""CSV: a header, then one row per instant. Read whole (at most 256 MB), so that a bad cell is found before replay."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from edge.sensors.formats import table
from edge.sensors.formats.options import Options, source
from edge.sensors.formats.times import nanoseconds
from edge.sensors.recording import Recording
from models.errors import RecordingRejected

LARGEST_BYTES = 256 << 20


def recordings(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """The recording of one file; RecordingRejected names line and column of what is wrong."""
    if path.stat().st_size > LARGEST_BYTES:
        raise RecordingRejected("is larger than 256 MB", where=str(path), mend="convert it to Parquet")
    block = _load(path)
    names, described = list(block.values), source(path, options)
    if block.times is None:
        return [table.fast(described, names, None, lambda: [block])]
    return [table.timed(described, names, block.times, lambda: [block])]


def _load(path: Path) -> table.Block:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(";\t,", key=first.count)
            return _parse(path, csv.reader(file, delimiter=delimiter, strict=True))
    except UnicodeDecodeError as e:
        raise RecordingRejected("is no text", where=str(path), mend="save it as CSV in UTF-8") from e
    except csv.Error as e:
        raise RecordingRejected(f"is no CSV: {e}", where=str(path), mend="save it as CSV in UTF-8") from e


def _parse(path: Path, rows: Iterator[list[str]]) -> table.Block:
    header = [h.strip() for h in next(rows, [])]
    if len(set(header)) != len(header):
        raise RecordingRejected("two columns have one name", where=f"{path}:1", mend="name each column once")
    time = table.time_column(header)
    names = table.channels_among(header, time)
    if not names or any(_is_number(h) for h in header):
        raise RecordingRejected(
            "the first line names no measurement", where=f"{path}:1", mend="put the columns' names on the first line"
        )
    wanted = [(header.index(n), n, array("f")) for n in names]
    clock: list[str] = []
    lines = array("q")
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise RecordingRejected(
                f"{len(row)} cells, the header has {len(header)}", where=f"{path}:{line}", mend="complete the line"
            )
        for i, name, cells in wanted:
            cells.append(_number(path, line, name, row[i]))
        lines.append(line)
        if time is not None:
            clock.append(row[header.index(time)])
    if not lines:
        raise RecordingRejected("has no rows below its header", where=str(path), mend="record or save it again")

    def where(row: int) -> str:
        return f"{path}:{lines[row]}"

    times = nanoseconds(clock, where) if time is not None else None
    return table.Block(times, {n: np.frombuffer(cells, dtype=np.float32) for _, n, cells in wanted}, where)


def _number(path: Path, line: int, name: str, cell: str) -> float:
    """A cell's number, NaN for an empty one."""
    try:
        value = float(cell) if cell.strip() else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise RecordingRejected(
            f"{name} is {cell.strip()!r}, not a finite number", where=f"{path}:{line}", mend="correct or cut the line"
        )
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
