"""Rows to Parquet: one segment for each site, kind and schema of a flush.

Flat float columns, no dictionary and zstd-1 for values; names as dictionaries: half of what a list column costs. A
segment is made row group by row group, each small enough to stay in the processor's cache: the columns of a whole load
at once cost three times as much, most of it for memory that the system has to find and to clear.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloud.gateway.records import Kind, Piece
from cloud.lake.objects import to_parquet

GROUP_ROWS = 32_768  # of a row group, and then to the end of the device's piece

# A segment of any kind starts with these columns; those of the kind follow.
IDENTITY = (
    "device",
    "epoch",
    "sequence",
    "machine",
    "channel",
    "event_time_ns",
    "received_ns",
    "quality",
    "replay",
    "source",
)


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """What one segment holds."""

    site: str
    kind: str
    schema: str  # hex, empty where the kind has none


@dataclass(frozen=True, slots=True)
class Encoded:
    """A segment, ready to be put into the object store."""

    group: Group
    data: bytes
    rows: int
    first_time_ns: int
    last_time_ns: int
    last_received_ns: int
    machines: tuple[str, ...]


def group(pieces: Iterable[Piece]) -> dict[Group, list[Piece]]:
    """Sort pieces by the segment they belong to."""
    groups: dict[Group, list[Piece]] = defaultdict(list)
    for piece in pieces:
        block = piece.block
        schema = f"{block.schema_id:016x}" if block.schema else ""
        groups[Group(block.stream.site, block.kind.label, schema)].append(piece)
    return dict(groups)


def encode(key: Group, pieces: Sequence[Piece]) -> Encoded:
    """Return the Parquet bytes of all rows of `pieces`, in their order."""
    bunches = list(_bunches(pieces))
    first = _table(bunches[0])
    times = [p.of(p.block.event_time_ns) for p in pieces]
    return Encoded(
        group=key,
        data=to_parquet(first.schema, chain([first], map(_table, bunches[1:]))),
        rows=sum(map(len, times)),
        first_time_ns=min(int(t.min()) for t in times),
        last_time_ns=max(int(t.max()) for t in times),
        last_received_ns=max(int(p.of(p.block.received_ns).max()) for p in pieces),
        machines=tuple(dict.fromkeys(m for p in pieces for m in _some(p.block.machines))),
    )


def _bunches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Sort pieces into row groups; one device's piece is not taken apart."""
    bunch: list[Piece] = []
    rows = 0
    for piece in pieces:
        bunch.append(piece)
        rows += len(piece.rows)
        if rows >= GROUP_ROWS:
            yield bunch
            bunch, rows = [], 0
    if bunch:
        yield bunch


def _table(pieces: Sequence[Piece]) -> Any:
    """Return one row group as a table whose columns have a value in every row."""
    columns: dict[str, Any] = {
        "device": _per_block(pieces, lambda b: b.stream.device),
        "epoch": _spread(pieces, [p.block.stream.epoch for p in pieces], np.int64),
        "sequence": _join(pieces, lambda b: b.sequence),
        "machine": _names(pieces, lambda b: b.machines),
        "channel": _names(pieces, lambda b: b.channels),
        "event_time_ns": _join(pieces, lambda b: b.event_time_ns),
        "received_ns": _join(pieces, lambda b: b.received_ns),
        "quality": _join(pieces, lambda b: b.quality),
        "replay": _spread(pieces, [p.block.replay for p in pieces], np.bool_),
        "source": _per_block(pieces, lambda b: b.source),
    }
    columns |= _own_columns(pieces)
    arrays = [column if isinstance(column, pa.Array) else pa.array(column) for column in columns.values()]
    fields = [pa.field(name, array.type, nullable=False) for name, array in zip(columns, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _own_columns(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Return the columns after the identity."""
    block = pieces[0].block
    if block.kind is Kind.GAP:
        told = [json.dumps([[g.first, g.last, g.reason] for g in p.block.gaps]) for p in pieces for _ in p.rows]
        return {"gaps": pa.array(told, pa.string())}
    if block.kind is Kind.STATE:
        return {"state": pa.array([row.tobytes() for p in pieces for row in p.of(p.block.values)], pa.binary())}
    if block.schema is not None:
        return dict(zip(block.schema.columns, _turned(pieces), strict=True))
    flat = np.concatenate([p.of(p.block.values).astype(np.float32, copy=False).ravel() for p in pieces])
    widths = np.repeat([p.block.values.shape[1] for p in pieces], [len(p.rows) for p in pieces])
    ends = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    return {
        "values": pa.LargeListArray.from_arrays(pa.array(ends), pa.array(flat)),
        "step": _spread(pieces, [p.block.step for p in pieces], np.float64),
        "scale": _spread(pieces, [p.block.scale for p in pieces], np.float64),
    }


def _turned(pieces: Sequence[Piece]) -> NDArray[np.float32]:
    """Return the values as columns, (width, rows): turned block by block, six times faster than all at once."""
    width = pieces[0].block.values.shape[1]
    columns = np.empty((width, sum(len(p.rows) for p in pieces)), np.float32)
    start = 0
    for piece in pieces:
        columns[:, start : start + len(piece.rows)] = piece.of(piece.block.values).T
        start += len(piece.rows)
    return columns


def _join(pieces: Sequence[Piece], column: Any) -> NDArray[Any]:
    return np.concatenate([p.of(column(p.block)) for p in pieces])


def _spread(pieces: Sequence[Piece], values: Sequence[Any], dtype: Any) -> NDArray[Any]:
    """Repeat one value per piece for each of its rows."""
    return np.repeat(np.array(values, dtype), [len(p.rows) for p in pieces])


def _per_block(pieces: Sequence[Piece], name: Any) -> Any:
    """Return one name per piece as a dictionary column."""
    index: dict[str, int] = {}
    indices = [index.setdefault(name(p.block), len(index)) for p in pieces]
    return pa.DictionaryArray.from_arrays(
        pa.array(_spread(pieces, indices, np.int32)), pa.array(list(index), pa.string())
    )


def _names(pieces: Sequence[Piece], names: Any) -> Any:
    """Return one of the point's names per row as a dictionary column."""
    index: dict[str, int] = {}
    parts = []
    for piece in pieces:
        here = np.array([index.setdefault(n, len(index)) for n in _some(names(piece.block))], np.int32)
        parts.append(here[piece.of(piece.block.point)])
    return pa.DictionaryArray.from_arrays(pa.array(np.concatenate(parts)), pa.array(list(index), pa.string()))


def _some(names: Sequence[str]) -> Sequence[str]:
    """Return the names, or one that is empty where there are none: a gap has no measuring point."""
    return names or ("",)
