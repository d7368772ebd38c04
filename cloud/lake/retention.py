"""Lets old rows go: whole segments of which every row was received long ago, removed in one commit.

The objects stay until `gc` collects them, so `as of` an earlier commit reads as before. Which sequences went is kept
with each cursor: `verify` can tell what was let go from what was lost. A segment that compaction made of old and new
rows goes when the newest of them is old enough: retention may keep a row longer than asked, never shorter. The newest
copy of what was learned of a machine never goes: the device that comes next begins with it.
"""

from __future__ import annotations

import io
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import structlog
from sqlalchemy import Connection, select, update

from cloud.catalogue import tables as t
from cloud.catalogue.access import reading, writing
from cloud.catalogue.ingest import CursorKey
from cloud.catalogue.lake import Segment, live, new_commit, read_segment
from cloud.lake.copies import KIND, holding_newest
from cloud.lake.objects import ObjectDamaged, made_ns, read_checked
from cloud.lake.reader import Lake
from cloud.ranges import Ranges, runs
from models.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What a retention removed."""

    commit: int  # 0: nothing was old enough
    segments: int
    rows: int
    damaged: int  # segments that stay because their object cannot be read


def retain(
    engine: Engine,
    store: ObjectStore,
    enterprise: str,
    *,
    older_than_ns: int,
    now_ns: Callable[[], int] = time.time_ns,
) -> Retained:
    """Remove the segments whose rows were all received more than `older_than_ns` ago, in one commit."""
    before_ns = now_ns() - older_than_ns
    with reading(engine) as connection:
        segments = [read_segment(row) for row in connection.execute(live(enterprise))]
    expired: list[tuple[Segment, dict[CursorKey, Ranges]]] = []
    damaged = 0
    old = _without_newest_copies([s for s in segments if _received_ns(s) < before_ns], Lake(engine, store, enterprise))
    for one in old:
        try:
            expired.append((one, _sequences(store, enterprise, one)))
        except ObjectDamaged as e:
            damaged += 1
            log.warning("damaged segment kept", reason=str(e))
    with writing(engine) as connection:
        commit, removed = _remove(connection, enterprise, expired, now_ns())
    rows = sum(one.rows for one in removed)
    log.info("lake retained", segments=len(removed), rows=rows, damaged=damaged)
    return Retained(commit=commit, segments=len(removed), rows=rows, damaged=damaged)


def _without_newest_copies(old: list[Segment], lake: Lake) -> list[Segment]:
    """The same without those that hold a machine's newest copy; without any copies, where one cannot be read."""
    if not any(one.kind == KIND for one in old):
        return old
    try:
        holding = holding_newest(lake)
    except ObjectDamaged as e:
        log.warning("copies of what devices learned are all kept", reason=str(e))
        return [one for one in old if one.kind != KIND]
    return [one for one in old if one.path not in holding]


def _received_ns(one: Segment) -> int:
    """When the segment's newest row was received, or a later time where the catalogue does not know."""
    if one.last_received_ns is not None:
        return one.last_received_ns
    made = made_ns(one.path)
    return 1 << 62 if made is None else made


def _sequences(store: ObjectStore, enterprise: str, one: Segment) -> dict[CursorKey, Ranges]:
    data = read_checked(store, one.path, one.sha256)
    table = pq.read_table(io.BytesIO(data), columns=["device", "epoch", "sequence"])
    found: dict[CursorKey, list[int]] = defaultdict(list)
    for device, epoch, sequence in zip(*(table[n].to_pylist() for n in table.column_names), strict=True):
        found[CursorKey(enterprise, one.site, device, epoch)].append(sequence)
    return {key: Ranges(runs(np.unique(np.array(s, np.int64)))) for key, s in found.items()}


def _remove(
    connection: Connection, enterprise: str, expired: list[tuple[Segment, dict[CursorKey, Ranges]]], now_ns: int
) -> tuple[int, list[Segment]]:
    """Remove what is still live: a compaction may have been faster, and its merged segment waits for the next time."""
    alive = set(connection.scalars(select(t.segment.c.path).where(*_live(enterprise))))
    expired = [(one, parts) for one, parts in expired if one.path in alive]
    if not expired:
        return 0, []
    gone: dict[CursorKey, Ranges] = defaultdict(Ranges)
    for _, parts in expired:
        for key, ranges in parts.items():
            gone[key].update(ranges)
    for key in sorted(gone):  # locked in the order of the ingest, and before the commit's number as there
        where = key.where(t.cursor)
        known = connection.execute(select(t.cursor.c.expired).where(*where).with_for_update()).scalar_one()
        gone[key].update(Ranges.decode(known or b""))
        connection.execute(update(t.cursor).where(*where).values(expired=gone[key].encode()))
    commit = new_commit(connection, "retain", now_ns)
    removed = []
    for one, _ in expired:
        where = [*_live(enterprise), t.segment.c.site == one.site, t.segment.c.path == one.path]
        if connection.execute(update(t.segment).where(*where).values(removed=commit)).rowcount:
            removed.append(one)
    if len(removed) != len(expired):
        raise Unavailable("a compaction replaced some of the segments meanwhile", mend="run it again")
    return commit, removed


def _live(enterprise: str) -> list[Any]:
    return [t.segment.c.enterprise == enterprise, t.segment.c.removed.is_(None)]
