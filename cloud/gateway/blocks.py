"""Joins the batches of a load to blocks and judges them: numpy's fixed costs once for a load, not for each message."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cloud.gateway import rules, wire
from cloud.gateway.records import DTYPES, Batch, Block, Code, Kind, Piece, Rejected, Shape, Share, Stream
from cloud.ranges import Range, Ranges


def judged(stream: Stream, share: Share) -> tuple[list[Piece], list[Rejected]]:
    """Return the new rows of a device's share that are good, and the new ones that are not."""
    pieces, rejected = [], []
    sound: dict[Shape, list[int]] = defaultdict(list)
    for i, batch in enumerate(share.batches):
        try:
            rules.check_columns(batch)
        except rules.Malformed as e:
            every = [s for lo, hi in share.new[i] for s in range(lo, hi + 1)]
            rejected += [Rejected(stream, s, e.code, e.reason, wire.single(batch, s - batch.first)) for s in every]
        else:
            sound[batch.shape].append(i)
    for same in sound.values():
        batches = [share.batches[i] for i in same]
        block = join(stream, batches)
        verdicts = rules.judge(block)
        fresh = _fresh(batches, [share.new[i] for i in same])
        rows = np.flatnonzero(fresh & verdicts.good)
        if len(rows):
            pieces.append(Piece(block, rows))
        starts = np.cumsum([0, *(b.rows for b in batches)]).tolist()
        for row in np.flatnonzero(fresh & ~verdicts.good).tolist():
            at = bisect_right(starts, row) - 1
            record = wire.single(batches[at], row - starts[at])
            code = Code(int(verdicts.codes[row]))
            rejected.append(Rejected(stream, int(block.sequence[row]), code, verdicts.reason(row), record))
    return pieces, rejected


def join(stream: Stream, batches: Sequence[Batch]) -> Block:
    """Return batches of one shape, whose columns fit, as one block; an array of one batch is a view of its bytes."""
    shape = batches[0].shape
    counts = np.array([b.rows for b in batches])
    starts = np.cumsum(counts) - counts
    rows = int(counts.sum())
    return Block(
        stream=stream,
        kind=Kind(shape.kind),
        replay=shape.replay,
        schema=shape.schema,
        schema_id=shape.schema_id,
        machines=shape.machines,
        channels=shape.channels,
        step=shape.step,
        scale=shape.scale,
        source=shape.source,
        gaps=shape.gaps,
        sequence=np.repeat(np.array([b.first for b in batches]) - starts, counts) + np.arange(rows),
        received_ns=np.repeat(np.array([b.received_ns for b in batches]), counts),
        point=np.frombuffer(b"".join([b.point for b in batches]), "<u2"),
        event_time_ns=np.frombuffer(b"".join([b.event_time for b in batches]), "<i8"),
        quality=np.frombuffer(b"".join([b.quality for b in batches]), "<u1"),
        values=np.frombuffer(b"".join([b.values for b in batches]), DTYPES[shape.dtype]).reshape(rows, shape.width),
    )


def _fresh(batches: Sequence[Batch], new: Iterable[list[Range]]) -> NDArray[np.bool_]:
    """Return a mask over the joined rows: which of them nobody took before."""
    mask = np.ones(sum(b.rows for b in batches), np.bool_)
    start = 0
    for batch, ranges in zip(batches, new, strict=True):
        if ranges != [(batch.first, batch.last)]:
            mask[start : start + batch.rows] = False
            for lo, hi in ranges:
                mask[start + lo - batch.first : start + hi - batch.first + 1] = True
        start += batch.rows
    return mask


def without(pieces: Iterable[Piece], known: Mapping[Stream, Ranges]) -> list[Piece]:
    """Return the pieces without the rows whose sequences are in `known`."""
    nothing = Ranges()
    kept = [Piece(p.block, p.rows[~known.get(p.block.stream, nothing).mask(p.of(p.block.sequence))]) for p in pieces]
    return [p for p in kept if len(p.rows)]
