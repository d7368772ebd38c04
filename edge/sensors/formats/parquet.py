"""Parquet files: which of the known layouts one has, told by its name and columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge.sensors.formats import columns, pronostia, recorded, rigs, table
from edge.sensors.formats.options import Options, source
from edge.sensors.formats.times import nanoseconds
from edge.sensors.recording import Recording
from models.errors import RecordingRejected

_ROWS = 1 << 15


def recordings(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """The recordings of one file; nothing for a thermometer file, which belongs to the vibration file beside it."""
    if path.name.endswith(pronostia.TEMPERATURE):
        return _thermometer(path)
    with columns.open_parquet(path) as file:
        names = set(file.schema_arrow.names)
        metadata = file.schema_arrow.metadata or {}
    if recorded.KEY in metadata:
        return recorded.recordings(path, metadata)
    if path.name.endswith(pronostia.VIBRATION) or {"horiz_mg", "vert_mg"} & names:
        return pronostia.recordings(path, options)
    if "counts" in names:
        if "key" in names:
            return rigs.cwru(path, options)
        return rigs.single(path, options)
    return [_table(path, options)]


def _thermometer(path: Path) -> Iterator[RecordingRejected]:
    vibration = path.name.removesuffix(pronostia.TEMPERATURE) + pronostia.VIBRATION
    if not path.with_name(vibration).exists():
        yield RecordingRejected(
            "is a thermometer's file without its vibration", where=str(path), mend=f"put {vibration} beside it"
        )


def _table(path: Path, options: Options) -> Recording:
    with columns.open_parquet(path) as file:
        all_names = file.schema_arrow.names
        rate_hz = columns.rate_of(path, file)
        rows = file.metadata.num_rows
    if not rows:
        raise RecordingRejected("has no rows", where=str(path), mend="record or convert it again")
    time = table.time_column(all_names)
    names = table.channels_among(all_names, time)
    if not names:
        raise RecordingRejected(
            "has no column of measurements", where=str(path), mend=f"it has {', '.join(all_names[:8]) or 'none'}"
        )
    described = source(path, options)

    def blocks() -> Iterator[table.Block]:
        for first, batch in columns.batches(path, [*([time] if time else []), *names], _ROWS):
            values = {n: columns.numbers_or_empty(path, first, batch, n).astype(np.float32) for n in names}
            times = _times(path, first, batch, time) if time else None
            yield table.Block(times, values, lambda i, first=first: f"{path}:{first + i}")  # type: ignore[misc]

    if time is None or rate_hz is not None:
        return table.fast(described, names, rate_hz, blocks)
    first_times = next(iter(blocks())).times
    assert first_times is not None
    return table.timed(described, names, first_times, blocks)


def _times(path: Path, first: int, batch: Any, name: str) -> table.Times:
    """Nanoseconds since 1970, or since the clock's zero, of a column of timestamps, numbers (s) or texts."""
    column = batch.column(name)
    pa = columns.arrow()
    if pa.types.is_timestamp(column.type):
        if column.null_count:
            row = first + column.is_null().to_pylist().index(True)
            raise RecordingRejected(f"{name} is empty", where=f"{path}:{row}", mend="cut the rows without a time")
        with columns.reading(path):
            moments: table.Times = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64()).to_numpy()
        return moments
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return nanoseconds(column.to_pylist(), lambda i: f"{path}:{first + i}")
    return np.round(columns.numbers(path, first, batch, name).astype(np.float64) * 1e9).astype(np.int64)
