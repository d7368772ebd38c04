"""The newest value of each metric of each machine, for the pages: gathered in memory, written at most once a second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from cloud.catalogue import tables as t
from cloud.catalogue.upsert import upsert
from cloud.gateway.records import Block, Piece
from cloud.quality import SUSPECT_CLOCK

Point = tuple[str, str, str]  # site, machine, channel


@dataclass(frozen=True, slots=True)
class _Row:
    columns: tuple[str, ...]
    values: tuple[float, ...]
    event_time_ns: int
    received_ns: int
    source: str
    replay: bool


class Latest:
    """What changed since the last write."""

    def __init__(self, enterprise: str) -> None:
        self._enterprise = enterprise
        self._rows: dict[tuple[Point, str], _Row] = {}  # by point and schema
        self._seen: dict[tuple[str, str], int] = {}  # by site and device

    def add(self, pieces: Iterable[Piece]) -> None:
        """Take note of rows that are stored."""
        for piece in pieces:
            block = piece.block
            owner = (block.stream.site, block.stream.device)
            self._seen[owner] = max(self._seen.get(owner, 0), int(block.received_ns[-1]))
            if block.schema is None:
                continue
            points = piece.of(block.point)
            times = _times(block)
            for point in np.flatnonzero(np.bincount(points)).tolist():
                rows = piece.rows[points == point]
                row = int(rows[times[rows].argmax()])
                self._note(piece, point, row, int(times[row]))

    def _note(self, piece: Piece, point: int, row: int, time_ns: int) -> None:
        block = piece.block
        assert block.schema is not None
        key = (block.stream.site, block.machines[point], block.channels[point]), block.schema.columns[0]
        known = self._rows.get(key)
        if known is None or known.event_time_ns <= time_ns:
            values = tuple(block.values[row].tolist())
            received_ns = int(block.received_ns[row])
            self._rows[key] = _Row(block.schema.columns, values, time_ns, received_ns, block.source, block.replay)

    def take(self) -> Latest:
        """Return what there is and start anew."""
        taken = Latest(self._enterprise)
        taken._rows, self._rows = self._rows, {}
        taken._seen, self._seen = self._seen, {}
        return taken

    def write(self, connection: Connection) -> None:
        """Upsert everything; an older value never replaces a newer one."""
        rows = {
            (*point, metric): {
                "enterprise": self._enterprise,
                "site": point[0],
                "machine": point[1],
                "channel": point[2],
                "metric": metric,
                "value": value,
                "event_time_ns": row.event_time_ns,
                "received_ns": row.received_ns,
                "source": row.source,
                "replay": row.replay,
            }
            for (point, _), row in self._rows.items()
            for metric, value in zip(row.columns, row.values, strict=True)
        }
        changing = ["value", "event_time_ns", "received_ns", "source", "replay"]
        upsert(connection, t.latest, list(rows.values()), update=changing, newer="event_time_ns")
        seen = [
            {"enterprise": self._enterprise, "site": site, "device": device, "last_seen_ns": ns}
            for (site, device), ns in self._seen.items()
        ]
        upsert(connection, t.device, seen, update=["last_seen_ns"])

    def __bool__(self) -> bool:
        return bool(self._rows or self._seen)


def _times(block: Block) -> NDArray[np.int64]:
    """When each row was measured, or received where its device doubted its clock: a year ahead would stay newest."""
    if block.replay or not block.quality.any():
        return block.event_time_ns
    return np.where(block.quality & SUSPECT_CLOCK, block.received_ns, block.event_time_ns)
