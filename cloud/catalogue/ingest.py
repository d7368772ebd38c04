"""The commit point of exactly-once, and what a device's Hello reads and writes.

Invariants:
- A segment's row and the ranges that it adds to its devices' cursors are written in one transaction, or not at all.
- That transaction holds the lock of each cursor it moves, and adds no sequence that a cursor has already. When another
  gateway was first, it changes nothing and says which sequences those are.
- A session of a device that a newer Hello replaced, here or at another gateway, commits nothing.
- Committing the same segments again (the answer to the first commit was lost) changes nothing and is no error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table, bindparam, func, insert, select, tuple_, update

from cloud.catalogue import tables as t
from cloud.catalogue.lake import Segment, add_segments, new_commit
from cloud.catalogue.upsert import upsert
from cloud.ranges import Ranges

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


@dataclass(frozen=True, slots=True, order=True)
class CursorKey:
    """Whose cursor: one epoch of one device."""

    enterprise: str
    site: str
    device: str
    epoch: int

    def where(self, table: Table) -> list[ColumnElement[bool]]:
        """The condition that finds this epoch's rows in `table`."""
        c = table.c
        return [
            c.enterprise == self.enterprise,
            c.site == self.site,
            c.device == self.device,
            c.epoch == self.epoch,
        ]

    def columns(self) -> dict[str, str | int]:
        """The key as column values."""
        return {"enterprise": self.enterprise, "site": self.site, "device": self.device, "epoch": self.epoch}


@dataclass(frozen=True, slots=True)
class Advance:
    """What a commit adds to one cursor."""

    ranges: Ranges
    head: tuple[int, bytes] | None  # the highest batch end among them, and its digest
    session: int | None = None  # that took them; None: whoever holds the stream


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refused record."""

    key: CursorKey
    sequence: int
    code: str
    reason: str
    record: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """Sequences that a device says will never come."""

    key: CursorKey
    first: int
    last: int
    reason: str


class AlreadyStored(Exception):
    """Another gateway stored some of the sequences first; nothing was changed."""

    def __init__(self, ranges: Mapping[CursorKey, Ranges]) -> None:
        self.ranges = ranges
        super().__init__(f"{sum(map(len, ranges.values()))} records are stored already")


class Fenced(Exception):
    """A newer Hello holds some of the streams; nothing was changed."""

    def __init__(self, keys: Sequence[CursorKey]) -> None:
        self.keys = keys
        super().__init__(f"{len(keys)} streams have a newer session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """Everything that one commit stores."""

    segments: Sequence[Segment]
    advances: Mapping[CursorKey, Advance]
    quarantined: Sequence[Quarantined] = ()
    missing: Sequence[Missing] = ()
    schemas: Mapping[int, tuple[tuple[str, ...], tuple[str, ...]]]  # id: columns, units


def commit(connection: Connection, enterprise: str, work: Ingest, now_ns: int) -> None:
    """Store `work` inside the caller's transaction, or raise `AlreadyStored` or `Fenced`."""
    cursors = _lock(connection, sorted(work.advances), now_ns)
    if _committed_before(connection, enterprise, work.segments):
        return
    fenced = [k for k, a in work.advances.items() if a.session is not None and a.session != cursors[k].session]
    if fenced:
        raise Fenced(fenced)
    stored = {key: _common(cursors[key].ranges, advance.ranges) for key, advance in work.advances.items()}
    if any(stored.values()):
        raise AlreadyStored({key: ranges for key, ranges in stored.items() if ranges})
    _advance(connection, cursors, work.advances)
    _keep_refused(connection, work, now_ns)
    schemas = [
        {"id": f"{number:016x}", "columns": json.dumps(columns), "units": json.dumps(units)}
        for number, (columns, units) in work.schemas.items()
    ]
    upsert(connection, t.schema, schemas)
    if work.segments:
        add_segments(connection, enterprise, new_commit(connection, "ingest", now_ns), work.segments)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor's row, locked."""

    ranges: Ranges  # what is stored
    head: tuple[int, bytes]  # the highest batch end, and its digest
    device_head: int
    session: int


_EMPTY = {"ranges": b"", "head_sequence": 0, "head_digest": b"", "device_head": 0}
_NAME = (t.cursor.c.enterprise, t.cursor.c.site, t.cursor.c.device, t.cursor.c.epoch)
_KEYS = 200  # in one statement: below every database's limit of parameters


def _lock(connection: Connection, keys: Sequence[CursorKey], now_ns: int) -> dict[CursorKey, Cursor]:
    """Lock the cursors in one order for everybody, making those that are absent."""
    found: dict[CursorKey, Cursor] = {}
    for at in range(0, len(keys), _KEYS):
        some = sorted(keys[at : at + _KEYS])
        found |= _locked(connection, some)
        if absent := [{**key.columns(), **_EMPTY, "first_seen_ns": now_ns} for key in some if key not in found]:
            upsert(connection, t.cursor, absent)
            found |= _locked(connection, some)
    return found


def _locked(connection: Connection, keys: Sequence[CursorKey]) -> dict[CursorKey, Cursor]:
    c = t.cursor.c
    mine = tuple_(*_NAME).in_([(k.enterprise, k.site, k.device, k.epoch) for k in keys])
    known = (c.ranges, c.head_sequence, c.head_digest, c.device_head, c.session)
    query = select(*_NAME, *known).where(mine).order_by(*_NAME).with_for_update()
    return {
        CursorKey(*row[:4]): Cursor(
            Ranges.decode(row.ranges), (row.head_sequence, row.head_digest), row.device_head, row.session
        )
        for row in connection.execute(query)
    }


def _committed_before(connection: Connection, enterprise: str, segments: Sequence[Segment]) -> bool:
    if not segments:
        return False
    one = segments[0]
    c = t.segment.c
    query = select(c.path).where(c.enterprise == enterprise, c.site == one.site, c.path == one.path)
    return connection.execute(query).first() is not None


def _common(cursor: Ranges, new: Ranges) -> Ranges:
    return Ranges(part for first, last in new for part in cursor.overlap(first, last))


def _advance(
    connection: Connection, cursors: Mapping[CursorKey, Cursor], advances: Mapping[CursorKey, Advance]
) -> None:
    rows = []
    for key, advance in advances.items():
        known = cursors[key]
        ranges = known.ranges.copy()
        ranges.update(advance.ranges)
        sequence, digest = max(known.head, advance.head or known.head, key=lambda head: head[0])
        device_head = max(known.device_head, ranges.head)
        rows.append({**_named(key), "r": ranges.encode(), "s": sequence, "d": digest, "h": device_head})
    if rows:
        connection.execute(_ADVANCED, rows)


def _named(key: CursorKey) -> dict[str, str | int]:
    return {f"key_{name}": value for name, value in key.columns().items()}


_ADVANCED = (
    update(t.cursor)
    .where(*(column == bindparam(f"key_{column.name}") for column in _NAME))
    .values(ranges=bindparam("r"), head_sequence=bindparam("s"), head_digest=bindparam("d"), device_head=bindparam("h"))
)


def _keep_refused(connection: Connection, work: Ingest, now_ns: int) -> None:
    refused = [
        {
            **q.key.columns(),
            "sequence": q.sequence,
            "time_ns": now_ns,
            "code": q.code,
            "reason": q.reason,
            "record": q.record,
        }
        for q in work.quarantined
    ]
    if refused:
        connection.execute(insert(t.quarantine), refused)
    gaps = {
        (m.key, m.first): {**m.key.columns(), "first": m.first, "last": m.last, "reason": m.reason}
        for m in work.missing
    }
    upsert(connection, t.gap, list(gaps.values()))


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the catalogue knows of a device's epoch when it says Hello."""

    stored: Ranges  # by the stream
    alerts: Ranges  # taken by the alert call
    head: tuple[int, bytes] | None
    session: int  # this Hello's number: higher than any before of the device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a device says of itself."""

    head: int
    software_version: str
    machines: Sequence[Mapping[str, object]]  # columns of `machine` without the key's enterprise, site and device
    kept: Ranges | None = None  # what it still holds; None: it did not say


def greet(connection: Connection, key: CursorKey, facts: DeviceFacts, now_ns: int) -> Greeting:
    """Write what the device says of itself, take its stream over from older sessions, and return what is stored."""
    owner = {"enterprise": key.enterprise, "site": key.site, "device": key.device}
    seen = {**owner, "software_version": facts.software_version, "last_seen_ns": now_ns}
    upsert(connection, t.device, [seen], update=["software_version", "last_seen_ns"])
    machines = {str(m["machine"]): {**owner, **m} for m in facts.machines}
    changing = ["device", "line", "machine_class", "simulated", "speed_rpm", "channels"]
    upsert(connection, t.machine, list(machines.values()), update=changing)
    _lock(connection, [key], now_ns)  # the device's row is locked by now: sessions of one device come one by one
    session = max(newest_session(connection, key.enterprise, key.site, key.device) + 1, now_ns)
    connection.execute(update(t.cursor).where(*key.where(t.cursor)).values(session=session))
    behind = [*key.where(t.cursor), t.cursor.c.device_head < facts.head]
    connection.execute(update(t.cursor).where(*behind).values(device_head=facts.head))
    row = connection.execute(select(t.cursor).where(*key.where(t.cursor))).one()
    head = (row.head_sequence, row.head_digest) if row.head_sequence else None
    greeting = Greeting(Ranges.decode(row.ranges), alerts_taken(connection, key), head, session)
    if facts.kept is not None:
        _note_lost(connection, key, greeting, facts.head, facts.kept)
    return greeting


LOST = "neither kept by the device nor stored here: this catalogue is older than what it once said was stored"


def _note_lost(connection: Connection, key: CursorKey, known: Greeting, head: int, kept: Ranges) -> None:
    """Write down what the device forgot and the cloud has not: it was stored once, in a catalogue that was lost."""
    c = t.gap.c
    told = connection.execute(select(c.first, c.last).where(*key.where(t.gap))).all()
    there = known.stored.copy()
    for ranges in (known.alerts, kept, ((row.first, row.last) for row in told)):
        there.update(ranges)
    lost = there.missing(1, head) if head else Ranges()
    upsert(connection, t.gap, [{**key.columns(), "first": a, "last": b, "reason": LOST} for a, b in lost])


FLAPPING_NS = 60 * 1_000_000_000
FLAPPING = 3  # open streams that one of another epoch ended, within that time


def note_fenced(connection: Connection, key: CursorKey, now_ns: int) -> bool:
    """Count an open stream that a newer one ended; True when so many tell that two holders share one identity.

    Only a newer stream of another epoch counts: copies of a store part their epochs as soon as both measure, while a
    device whose link flaps comes back with the epoch it had, however often.
    """
    c = t.cursor.c
    mine = [c.enterprise == key.enterprise, c.site == key.site, c.device == key.device]
    row = connection.execute(select(t.cursor).where(*key.where(t.cursor)).with_for_update()).one()
    newest = select(c.epoch).where(*mine).order_by(c.session.desc()).limit(1)
    if connection.scalar(newest) == key.epoch:
        return False
    fresh = now_ns - row.fenced_since_ns < FLAPPING_NS
    counted = {"fenced": row.fenced + 1} if fresh else {"fenced": 1, "fenced_since_ns": now_ns}
    connection.execute(update(t.cursor).where(*key.where(t.cursor)).values(counted))
    lately = select(func.sum(c.fenced)).where(*mine, c.fenced_since_ns > now_ns - FLAPPING_NS)
    if (connection.scalar(lately) or 0) < FLAPPING:
        return False
    d = t.device.c
    its_row = [d.enterprise == key.enterprise, d.site == key.site, d.device == key.device]
    connection.execute(update(t.device).where(*its_row).values(cloned_ns=now_ns))
    return True


def newest_session(connection: Connection, enterprise: str, site: str, device: str) -> int:
    """Return the number of the device's newest Hello, over its epochs; 0 before the first."""
    c = t.cursor.c
    query = select(func.max(c.session)).where(c.enterprise == enterprise, c.site == site, c.device == device)
    return int(connection.scalar(query) or 0)


def sessions_since(connection: Connection, enterprise: str, since_ns: int) -> dict[tuple[str, str], int]:
    """Return the newest session of each device (site, name) that was greeted since then, over its epochs."""
    c = t.cursor.c
    newest = func.max(c.session)
    query = select(c.site, c.device, newest).where(c.enterprise == enterprise, c.session >= since_ns)
    return {(site, device): session for site, device, session in connection.execute(query.group_by(c.site, c.device))}


def alerts_taken(connection: Connection, key: CursorKey) -> Ranges:
    """Return the sequences of this epoch that the alert call took."""
    taken: Iterable[int] = connection.scalars(select(t.alert_taken.c.sequence).where(*key.where(t.alert_taken)))
    return Ranges((s, s) for s in sorted(taken))
