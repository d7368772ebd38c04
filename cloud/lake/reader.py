"""Reads the lake: the catalogue says which segments make it, now or at a commit; each is checked as it is read."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloud.catalogue import tables as t
from cloud.catalogue.access import reading, snapshot
from cloud.catalogue.lake import Segment, head, horizon, live, read_segment
from cloud.lake import ledger
from cloud.lake.ledger import DeviceLedger
from cloud.lake.objects import plain, read_checked
from models.errors import WrongUse

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

# Every kind has these columns; the values of its kind follow.
IDENTITY = pa.schema(
    [
        ("site", pa.string()),
        ("device", pa.string()),
        ("epoch", pa.int64()),
        ("sequence", pa.int64()),
        ("machine", pa.string()),
        ("channel", pa.string()),
        ("event_time_ns", pa.int64()),
        ("received_ns", pa.int64()),
        ("quality", pa.uint8()),
        ("replay", pa.bool_()),
        ("source", pa.string()),
    ]
)
_READERS = 4


class Lake:
    """One enterprise's lake; synchronous and safe in threads."""

    def __init__(self, engine: Engine, store: ObjectStore, enterprise: str) -> None:
        self._engine = engine
        self._store = store
        self._enterprise = enterprise

    def head(self) -> int:
        """Return the newest commit: `as_of` it gives the same rows for as long as nothing is collected."""
        with reading(self._engine) as connection:
            return head(connection)

    def rows(
        self,
        kind: str,
        *,
        site: str | None = None,
        machines: Collection[str] | None = None,
        columns: Collection[str] | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        as_of: int | None = None,
    ) -> Any:
        """Return a `pyarrow.Table`: the identity columns, then float columns named by feature ids (all, or `columns`).

        Spectra and waveforms have `values` (list of float), `step` and `scale` instead; gaps have `gaps`, JSON; copies
        of what devices learned have `state`, bytes that only devices read.
        `since_ns` is included, `until_ns` is not; both are event times. Rows are in no particular order. A damaged
        object is `ObjectDamaged`.
        """
        segments = self.segments(kind, site=site, machines=machines, since_ns=since_ns, until_ns=until_ns, as_of=as_of)
        with ThreadPoolExecutor(_READERS) as pool:
            tables = list(pool.map(lambda s: self.table(s, columns), segments))
        if not tables:
            return IDENTITY.empty_table()
        table = pa.concat_tables(tables, promote_options="default")
        return _filter(table, machines=machines, since_ns=since_ns, until_ns=until_ns)

    def segments(
        self,
        kind: str | None = None,
        *,
        site: str | None = None,
        machines: Collection[str] | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        as_of: int | None = None,
    ) -> list[Segment]:
        """Return the segments that may hold such rows, oldest first."""
        with reading(self._engine) as connection:
            if as_of is not None and as_of < horizon(connection):
                raise WrongUse(
                    f"commit {as_of} can no longer be read: parts of it were collected",
                    mend=f"the oldest that can be read is {horizon(connection)}",
                )
            query = live(self._enterprise, as_of)
            if kind is not None:
                query = query.where(t.segment.c.kind == kind)
            found = [read_segment(row) for row in connection.execute(query)]
        wanted = None if machines is None else set(machines)
        return [
            s
            for s in found
            if (site is None or s.site == site)
            and (wanted is None or not wanted.isdisjoint(s.machines))
            and (since_ns is None or s.last_time_ns >= since_ns)
            and (until_ns is None or s.first_time_ns < until_ns)
        ]

    def ledger(self, site: str | None = None) -> list[DeviceLedger]:
        """Return what is stored of each device and epoch, and what is missing."""
        with snapshot(self._engine) as connection:
            return ledger.read(connection, self._enterprise, site)

    def table(self, segment: Segment, columns: Collection[str] | None = None) -> Any:
        """Return the rows of one segment as `rows` does; `ObjectDamaged` when it is not what was stored."""
        data = read_checked(self._store, segment.path, segment.sha256)
        file = pq.ParquetFile(io.BytesIO(data))
        names: Sequence[str] = file.schema_arrow.names
        if columns is not None:
            names = [n for n in names if n in IDENTITY.names or n in columns]
        table = file.read(columns=list(names))
        table = table.add_column(0, "site", pa.repeat(segment.site, table.num_rows))
        return plain(table)


def _filter(table: Any, *, machines: Collection[str] | None, since_ns: int | None, until_ns: int | None) -> Any:
    if machines is not None:
        table = table.filter(pc.is_in(table["machine"], pa.array(list(machines), pa.string())))
    if since_ns is not None:
        table = table.filter(pc.greater_equal(table["event_time_ns"], since_ns))
    if until_ns is not None:
        table = table.filter(pc.less(table["event_time_ns"], until_ns))
    return table
