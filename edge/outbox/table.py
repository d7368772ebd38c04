"""The parcels in the database: SQL and nothing else; every function works inside the caller's transaction.

Metadata and content are two tables, so that ranges, quotas and a new epoch never touch the content's pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from sqlite3 import Connection
from typing import Any

from edge.outbox.policy import Candidate
from edge.outbox.types import Entry, Parcel, Range, digest_of
from edge.types import Kind

OVERHEAD = 100  # bytes that SQLite needs for a parcel beside its blob
_DROPPED_MARKS = 4096


def insert(db: Connection, first: int, parcel: Parcel) -> int:
    """Add one parcel whose first record is `first`; return its last sequence number."""
    last = first + parcel.count - 1
    blob = db.execute("INSERT INTO blob (data) VALUES (?)", (parcel.blob,)).lastrowid
    db.execute(
        "INSERT INTO parcel (last, first, kind, size, digest, blob) VALUES (?, ?, ?, ?, ?, ?)",
        (last, first, int(parcel.kind), len(parcel.blob) + OVERHEAD, digest_of(parcel.blob), blob),
    )
    return last


_SELECT = """SELECT p.first, p.last, p.kind, b.data, p.digest FROM parcel p LEFT JOIN blob b ON b.id = p.blob """


def select(db: Connection, after: int, before: int) -> Iterator[Entry]:
    """Everything but alerts with sequences above `after` and below `before`, oldest first; a lost blob is empty."""
    query = _SELECT + "WHERE p.last > ? AND p.last < ? AND p.kind <> 5 ORDER BY p.last"
    for first, last, kind, blob, digest in db.execute(query, (after, before)):
        yield Entry(first, last, Kind(kind), blob or b"", digest)


def select_alerts(db: Connection) -> Iterator[Entry]:
    """The alerts, oldest first."""
    for first, last, kind, blob, digest in db.execute(_SELECT + "WHERE p.kind = 5 ORDER BY p.last"):
        yield Entry(first, last, Kind(kind), blob or b"", digest)


def touched(db: Connection, lo: int, hi: int) -> list[tuple[Candidate, Kind, bytes]]:
    """Parcels with at least one sequence from `lo` to `hi`, with kind and digest, oldest first."""
    found = []
    query = "SELECT first, last, size, kind, digest FROM parcel WHERE last >= ? ORDER BY last"
    for first, last, size, kind, digest in db.execute(query, (lo,)):
        if first > hi:
            break
        found.append((Candidate(first, last, size), Kind(kind), digest))
    return found


def delete(db: Connection, lasts: Iterable[int]) -> None:
    """Forget the parcels that end at these sequences."""
    keys = [(last,) for last in lasts]
    db.executemany("DELETE FROM blob WHERE id = (SELECT blob FROM parcel WHERE last = ?)", keys)
    db.executemany("DELETE FROM parcel WHERE last = ?", keys)


def candidates(db: Connection, kinds: tuple[Kind, ...]) -> Iterator[Candidate]:
    """Parcels of these kinds, oldest first."""
    marks = ",".join(str(int(k)) for k in kinds)
    for row in db.execute(f"SELECT first, last, size FROM parcel WHERE kind IN ({marks}) ORDER BY last"):  # noqa: S608 - ints of an enum
        yield Candidate(*row)


def remember_dropped(db: Connection, lasts: Iterable[int], offered: int) -> None:
    """Keep the digests of dropped parcels that may have reached the cloud: its cursor may name one of them."""
    keys = [(last,) for last in lasts if last <= offered]
    db.executemany("INSERT OR REPLACE INTO dropped SELECT last, digest FROM parcel WHERE last = ? AND kind <> 5", keys)
    db.execute(
        "DELETE FROM dropped WHERE last <= (SELECT last FROM dropped ORDER BY last DESC LIMIT 1 OFFSET ?)",
        (_DROPPED_MARKS,),
    )


def forget_dropped(db: Connection, stored_head: int) -> None:
    """Below what is stored, no cursor of the cloud can name a dropped parcel any more."""
    db.execute("DELETE FROM dropped WHERE last <= ?", (stored_head,))


def digest_kept(db: Connection, last: int) -> bytes | None:
    """The digest of the kept parcel that ends at `last`."""
    row = db.execute("SELECT digest FROM parcel WHERE last = ?", (last,)).fetchone()
    return None if row is None else bytes(row[0])


def digest_at(db: Connection, last: int) -> bytes | None:
    """The digest of the parcel that ends at `last`, kept or dropped."""
    query = "SELECT digest FROM parcel WHERE last = ? UNION ALL SELECT digest FROM dropped WHERE last = ? LIMIT 1"
    row = db.execute(query, (last, last)).fetchone()
    return None if row is None else bytes(row[0])


def move_to_quarantine(db: Connection, last: int, epoch: int, reason: str) -> Candidate | None:
    """Take one parcel out of the way of the later ones, keeping what is left of it for a person; None if it is gone."""
    row = db.execute("SELECT first, last, size FROM parcel WHERE last = ?", (last,)).fetchone()
    if row is None:
        return None
    db.execute(
        "INSERT INTO quarantine (epoch, first, last, reason, data)"
        " SELECT ?, p.first, p.last, ?, b.data FROM parcel p LEFT JOIN blob b ON b.id = p.blob WHERE p.last = ?",
        (epoch, reason, last),
    )
    db.execute("DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - 1000")
    delete(db, [last])
    return Candidate(*row)


def ranges(db: Connection) -> Iterator[Range]:
    """First and last of every parcel, oldest first."""
    yield from db.execute("SELECT first, last FROM parcel ORDER BY last")


def total_size(db: Connection) -> int:
    """Bytes of all parcels, overhead included."""
    return int(db.execute("SELECT coalesce(sum(size), 0) FROM parcel").fetchone()[0])


def renumber(db: Connection) -> int:
    """Number everything from 1, in the old order, for a new epoch; return the last number.

    Gap reports speak of the old epoch's numbers and are left out: the cloud sees those gaps in the old epoch itself.
    """
    delete(db, [row[0] for row in db.execute("SELECT last FROM parcel WHERE kind = ?", (int(Kind.GAP),)).fetchall()])
    db.execute("DELETE FROM dropped")
    next_first = 1
    for first, last in list(ranges(db)):  # ascending, and each moves down: never onto one that has yet to move
        new_last = next_first + (last - first)
        if new_last != last:
            db.execute("UPDATE parcel SET first = ?, last = ? WHERE last = ?", (next_first, new_last, last))
        next_first = new_last + 1
    return next_first - 1


def get_meta(db: Connection) -> dict[str, Any]:
    """What the file says of the outbox as a whole; empty in a new file."""
    return dict(db.execute("SELECT name, value FROM meta"))


def set_meta(db: Connection, values: Mapping[str, bytes | int]) -> None:
    """Replace named values."""
    db.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", values.items())


def set_state(db: Connection, state: Iterable[tuple[str, bytes]]) -> None:
    """Replace parts of the sampling side's state."""
    db.executemany("INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", state)
