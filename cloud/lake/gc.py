"""Deletes what nobody can need: segments that compaction replaced long ago, and objects that no commit ever named.

An object without a commit may be a segment whose commit is under way. Its name tells its age, and a gateway puts a
segment again rather than commit one older than ten minutes; so an hour is far enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import delete, select

from cloud.catalogue import tables as t
from cloud.catalogue.access import reading, writing
from cloud.catalogue.lake import new_commit
from cloud.lake.objects import made_ns, prefix

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

log: structlog.stdlib.BoundLogger = structlog.get_logger()
ORPHAN_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection deleted."""

    replaced: int  # segments that compaction had replaced
    orphans: int  # objects that no commit named


def collect(
    engine: Engine,
    store: ObjectStore,
    enterprise: str,
    *,
    older_than_ns: int,
    now_ns: Callable[[], int] = time.time_ns,
) -> Collected:
    """Delete segments replaced more than `older_than_ns` ago, and orphans of more than an hour.

    Commits before the newest removal can then no longer be read `as of`. The catalogue forgets first: a crash in
    between leaves orphans, which the next collection deletes.
    """
    paths = _forget(engine, enterprise, before_ns=now_ns() - older_than_ns, now_ns=now_ns())
    for path in paths:
        store.delete(path)
    orphans = _orphans(engine, store, enterprise, before_ns=now_ns() - ORPHAN_NS)
    for path in orphans:
        store.delete(path)
    log.info("lake collected", replaced=len(paths), orphans=len(orphans))
    return Collected(len(paths), len(orphans))


def _forget(engine: Engine, enterprise: str, *, before_ns: int, now_ns: int) -> list[str]:
    c, k = t.segment.c, t.lake_commit.c
    old = (
        select(c.site, c.path, c.removed)
        .join(t.lake_commit, k.id == c.removed)
        .where(c.enterprise == enterprise, k.time_ns < before_ns)
    )
    with writing(engine) as connection:
        rows = connection.execute(old).all()
        if rows:
            new_commit(connection, "gc", now_ns, oldest=max(row.removed for row in rows))
        for row in rows:
            mine = [c.enterprise == enterprise, c.site == row.site, c.path == row.path]
            connection.execute(delete(t.segment).where(*mine))
    return [row.path for row in rows]


def _orphans(engine: Engine, store: ObjectStore, enterprise: str, *, before_ns: int) -> list[str]:
    """List first, then ask the catalogue: what is committed in between is not taken for an orphan."""
    listed = [key for key in store.list(prefix(enterprise)) if (made := made_ns(key)) is not None and made < before_ns]
    with reading(engine) as connection:
        known = set(connection.scalars(select(t.segment.c.path).where(t.segment.c.enterprise == enterprise)))
    return [key for key in listed if key not in known]
