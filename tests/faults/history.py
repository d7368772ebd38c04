"""Checks a history: what devices kept, what they were told and forgot, and what readers of the lake find.

Neither side's bookkeeping is believed: used and kept numbers come from the device's file, and the lake is read row by
row.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from cloud.catalogue.tables import alert_taken, quarantine
from cloud.gateway.records import Kind
from cloud.wiring import Cloud

Identity = tuple[str, int, int]  # device, epoch, sequence
KINDS = tuple(kind.label for kind in Kind)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a device's file says at one moment."""

    used: frozenset[Identity]
    kept: frozenset[Identity]

    @property
    def forgotten(self) -> frozenset[Identity]:
        """What it was told is stored."""
        return self.used - self.kept


def remembered(device: str, file: Path) -> Memory:
    """Read a device's outbox, which may be in use, in one snapshot."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10, isolation_level=None) as db:
        db.execute("BEGIN")
        meta = dict(db.execute("SELECT name, value FROM meta"))
        kept = {n for first, last in db.execute("SELECT first, last FROM parcel") for n in range(first, last + 1)}
        db.execute("COMMIT")
    db.close()
    epoch = meta["epoch"]
    return Memory(
        frozenset((device, epoch, n) for n in range(1, meta["head"] + 1)), frozenset((device, epoch, n) for n in kept)
    )


def in_cloud(cloud: Cloud) -> Counter[Identity]:
    """How often each identity is stored, in the lake, as an alert or in quarantine."""
    found: Counter[Identity] = Counter()
    for kind in KINDS:
        rows = cloud.lake.rows(kind, columns=[])
        found.update(zip(*(rows[n].to_pylist() for n in ("device", "epoch", "sequence")), strict=True))
    with cloud.engine.connect() as connection:
        for table in (alert_taken, quarantine):
            found.update(
                tuple(row) for row in connection.execute(select(table.c.device, table.c.epoch, table.c.sequence))
            )
    return found


def violations(memories: Mapping[str, Memory], stored: Counter[Identity], *, at_rest: bool = False) -> list[str]:
    """Return what is wrong; `stored` was read after the memories. At rest, all that was used must be stored."""
    wrong = [f"{identity} is stored {n} times" for identity, n in stored.items() if n > 1]
    for memory in memories.values():
        owed = memory.used if at_rest else memory.forgotten
        wrong += [f"{identity} is lost" for identity in sorted(owed - stored.keys())]
    if at_rest:
        made = frozenset().union(*(m.used for m in memories.values()))
        wrong += [f"{identity} was never made" for identity in sorted(stored.keys() - made)]
    return wrong
