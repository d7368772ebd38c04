"""The lake's part of the catalogue: segments, and the commits that add and remove them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, text

from cloud.catalogue.tables import lake_commit, segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One immutable Parquet object; immutable rows of one site, kind and schema."""

    site: str
    path: str  # key in the object store
    kind: str
    schema: str  # hex, empty where the kind has none
    rows: int
    bytes: int
    sha256: str
    first_time_ns: int
    last_time_ns: int
    machines: tuple[str, ...]
    last_received_ns: int | None = None  # of its rows; None in segments of the first version
    added: int = 0  # commit; 0 before it is one


def new_commit(connection: Connection, reason: str, now_ns: int, *, oldest: int | None = None) -> int:
    """Return a new commit's number. Commits become visible in the order of their numbers: `as of` relies on it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE lake_commit IN SHARE ROW EXCLUSIVE MODE"))
    values = {"time_ns": now_ns, "reason": reason, "oldest": oldest}
    key = connection.execute(insert(lake_commit).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def add_segments(connection: Connection, enterprise: str, commit: int, segments: Sequence[Segment]) -> None:
    """Insert the segments' rows as added by `commit`."""
    rows = [
        {
            "enterprise": enterprise,
            "site": s.site,
            "path": s.path,
            "kind": s.kind,
            "schema": s.schema,
            "rows": s.rows,
            "bytes": s.bytes,
            "sha256": s.sha256,
            "first_time_ns": s.first_time_ns,
            "last_time_ns": s.last_time_ns,
            "machines": json.dumps(s.machines),
            "added": commit,
            "last_received_ns": s.last_received_ns,
        }
        for s in segments
    ]
    if rows:
        connection.execute(insert(segment), rows)


def head(connection: Connection) -> int:
    """Return the newest commit's number; 0 for an empty lake."""
    return connection.scalar(select(func.max(lake_commit.c.id))) or 0


def horizon(connection: Connection) -> int:
    """Return the oldest commit that can still be read whole."""
    return connection.scalar(select(func.max(lake_commit.c.oldest))) or 0


def live(enterprise: str, as_of: int | None = None) -> Select[tuple[object, ...]]:
    """Select the segments that make the lake, now or at a commit, oldest first."""
    query = select(segment).where(segment.c.enterprise == enterprise)
    if as_of is None:
        query = query.where(segment.c.removed.is_(None))
    else:
        query = query.where(segment.c.added <= as_of, or_(segment.c.removed.is_(None), segment.c.removed > as_of))
    return query.order_by(segment.c.added, segment.c.path)


def read_segment(row: Row[tuple[object, ...]]) -> Segment:
    """Return a row as a `Segment`."""
    return Segment(
        site=row.site,
        path=row.path,
        kind=row.kind,
        schema=row.schema,
        rows=row.rows,
        bytes=row.bytes,
        sha256=row.sha256,
        first_time_ns=row.first_time_ns,
        last_time_ns=row.last_time_ns,
        machines=tuple(json.loads(row.machines)),
        added=row.added,
        last_received_ns=row.last_received_ns,
    )
