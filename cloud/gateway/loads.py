"""Arithmetic on loads, without any I/O: which sequences they hold, and what remains without some of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from cloud.gateway.records import Block, Load, Piece, Stream
from cloud.ranges import Ranges, runs


def sequences(load: Load) -> dict[Stream, Ranges]:
    """Return what a load holds, good or refused, by stream."""
    found: dict[Stream, Ranges] = defaultdict(Ranges)
    for piece in load.pieces:
        found[piece.block.stream].update(runs(piece.sequences))
    for refused in load.rejected:
        found[refused.stream].add(refused.sequence)
    return dict(found)


def within(block: Block, ranges: Ranges) -> NDArray[np.bool_]:
    """Return a mask over the block's rows: which sequences are in `ranges`."""
    mask = np.zeros(len(block), np.bool_)
    for first, last in ranges.overlap(block.first, block.last):
        mask[first - block.first : last - block.first + 1] = True
    return mask


def without(pieces: Iterable[Piece], known: Mapping[Stream, Ranges]) -> list[Piece]:
    """Return the pieces without the rows whose sequences are in `known`."""
    kept = []
    for piece in pieces:
        ranges = known.get(piece.block.stream)
        rows = piece.rows if ranges is None else piece.rows[~within(piece.block, ranges)[piece.rows]]
        if len(rows):
            kept.append(Piece(piece.block, rows))
    return kept
