"""Merges small segments: a segment of 16 rows costs 4.4 times the bytes of a large one, and each costs a request.

Segments of one partition are merged in tiers, each eight times the size of the one below, so that a row is rewritten at
most once per tier. A merge is one commit that removes and adds; what was replaced stays readable `as of` an earlier
commit until it is collected. Two compactors may work at once: the second finds the segments gone and changes nothing.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import structlog
from sqlalchemy import update

from cloud.catalogue import tables as t
from cloud.catalogue.access import reading, writing
from cloud.catalogue.lake import Segment, add_segments, live, new_commit, read_segment
from cloud.lake.objects import made_ns, new_key, plain, read_checked, sha256, to_parquet
from models.errors import ForewarnError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

log: structlog.stdlib.BoundLogger = structlog.get_logger()
FAN_IN = 8  # so many of one tier make one of the next
SMALLEST = 64 * 1024  # bytes: the first tier ends here ...
LARGE = 8 * 1024 * 1024  # ... and from here on a segment is left alone
LARGE_ROWS = 250_000  # ... as is one of so many rows: a machine that stands still compresses to nothing
_MERGED_BYTES = 2 * LARGE  # so much makes a merge full, or LARGE_ROWS: it is held in memory
_MERGED_SEGMENTS = 64


def plan(segments: Iterable[Segment], *, fan_in: int = FAN_IN) -> list[list[Segment]]:
    """Choose which segments to merge, oldest first; without any I/O."""
    tiers: dict[tuple[str, str, str, int], list[Segment]] = defaultdict(list)
    for one in segments:
        if one.bytes < LARGE and one.rows < LARGE_ROWS:
            tiers[one.site, one.kind, one.schema, _tier(one.bytes)].append(one)
    merges = []
    for members in tiers.values():
        taken: list[Segment] = []
        for one in sorted(members, key=lambda s: (s.added, s.path)):
            taken.append(one)
            full = sum(s.bytes for s in taken) >= _MERGED_BYTES or sum(s.rows for s in taken) >= LARGE_ROWS
            if len(taken) >= _MERGED_SEGMENTS or (full and len(taken) > 1):
                merges.append(taken)
                taken = []
        if len(taken) >= max(fan_in, 2):
            merges.append(taken)
    return merges


def _tier(size: int) -> int:
    tier, limit = 0, SMALLEST
    while size >= limit:
        tier, limit = tier + 1, limit * FAN_IN
    return tier


class Compactor:
    """Compacts one enterprise's lake."""

    def __init__(
        self,
        enterprise: str,
        engine: Engine,
        store: ObjectStore,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._enterprise = enterprise
        self._engine = engine
        self._store = store
        self._now_ns = now_ns

    async def run(self, every_s: float, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        """Compact now and then until cancelled; a failure is logged and the next round tries again."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await in_thread(self.compact)
            except ForewarnError as e:
                log.warning("compaction put off", reason=str(e))
            except Exception:  # upkeep that fails for a reason nobody thought of must not end the ingest
                log.exception("compaction failed")

    def compact(self, *, fan_in: int = FAN_IN) -> int:
        """Merge what is worth it and return how many segments were replaced."""
        with reading(self._engine) as connection:
            segments = [read_segment(row) for row in connection.execute(live(self._enterprise))]
        return sum(len(group) for group in plan(segments, fan_in=fan_in) if self._merge(group))

    def _merge(self, group: list[Segment]) -> bool:
        tables = [plain(pq.read_table(io.BytesIO(read_checked(self._store, s.path, s.sha256)))) for s in group]
        merged = pa.concat_tables(tables, promote_options="default")
        merged = merged.sort_by([(name, "ascending") for name in ("machine", "channel", "event_time_ns", "sequence")])
        data = to_parquet(merged.schema, [merged])
        first = group[0]
        now_ns = self._now_ns()
        path = new_key(self._enterprise, first.site, first.kind, now_ns)
        new = Segment(
            site=first.site,
            path=path,
            kind=first.kind,
            schema=first.schema,
            rows=merged.num_rows,
            bytes=len(data),
            sha256=sha256(data),
            first_time_ns=min(s.first_time_ns for s in group),
            last_time_ns=max(s.last_time_ns for s in group),
            machines=tuple(sorted({m for s in group for m in s.machines})),
            last_received_ns=max((s.last_received_ns or made_ns(s.path) or now_ns) for s in group),
        )
        self._store.put(path, data)
        if not self._replace(group, new, now_ns):
            self._store.delete(path)
            return False
        log.info("segments merged", kind=new.kind, count=len(group), rows=new.rows, bytes=new.bytes)
        return True

    def _replace(self, group: list[Segment], new: Segment, now_ns: int) -> bool:
        """Remove and add in one commit; False when another compactor was first."""
        c = t.segment.c
        mine = [c.enterprise == self._enterprise, c.site == new.site, c.path.in_([s.path for s in group])]
        try:
            with writing(self._engine) as connection:
                commit = new_commit(connection, "compact", now_ns)
                done = connection.execute(update(t.segment).where(*mine, c.removed.is_(None)).values(removed=commit))
                if done.rowcount != len(group):
                    raise _Overtaken
                add_segments(connection, self._enterprise, commit, [new])
        except _Overtaken:
            return False
        return True


class _Overtaken(Exception):
    """Another compactor replaced some of the segments; leaving the transaction undoes it."""
