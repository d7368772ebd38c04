"""The outbox: what is kept here is delivered, and what is not delivered is named.

Invariants
- `append` returns only when its parcels and the state that follows from them are on the disk, both or neither.
- A sequence number of an epoch means one content for ever. Numbers that will never come are reported as a gap.
- A parcel leaves in three ways only: the cloud has stored it, the policy dropped it (gap), it is unreadable (gap).
- A database that is not what we wrote is kept aside and replaced by an empty one with a new epoch.

Threads: any thread may call anything. Writers queue on one lock; a reader never waits for a writer's fsync.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import structlog

from edge.outbox import table
from edge.outbox.database import is_full
from edge.outbox.policy import KINDS_BY_WORTH, Candidate, choose, ranges_of
from edge.outbox.store import Book, Store
from edge.outbox.types import Entry, Kept, Parcel, Range, covers, digest_of, merged
from edge.types import Kind
from models.errors import Unavailable

T = TypeVar("T")
DROPPED = "dropped by the device: its store was full"
NEVER_KEPT = "not kept by the device: its disk was full or failed"
UNREADABLE = "unreadable in the device's store"
_SYSTEM = random.SystemRandom()
_log = structlog.get_logger()


class Outbox:
    """Numbered parcels on disk, and the state of the sampling side that follows from them."""

    def __init__(
        self,
        file: Path,
        *,
        gap: Callable[[Sequence[Range], str], Parcel],
        quota_bytes: int = 1 << 30,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bits: Callable[[int], int] = _SYSTEM.getrandbits,
    ) -> None:
        """Open or create `file`; `gap` packs a report of ranges that will never come, and why."""
        self._file = file
        self._gap = gap
        self._quota = quota_bytes
        self._clock_ms = clock_ms
        self._random_bits = random_bits
        self._listener: Callable[[], None] = lambda: None
        self._unkept = 0  # records that found no room, not yet reported
        self._store = Store(file, self._new_number, self._begin)
        self._begin()

    def _begin(self) -> None:
        """What is known of the file beyond the file itself."""
        self._offered = self._store.book.head  # an earlier run may have sent anything
        self._written_state: dict[str, bytes] = {}
        self._partial: dict[int, list[Range]] = {}

    def _new_number(self) -> int:
        return self._clock_ms() << 20 | self._random_bits(20)

    @property
    def epoch(self) -> int:
        """Names this run of sequence numbers."""
        return self._store.book.epoch

    @property
    def head(self) -> int:
        """The last sequence number used; 0 before the first."""
        return self._store.book.head

    @property
    def stored_head(self) -> int:
        """The highest sequence that the cloud said is stored, alerts aside; 0 before the first."""
        return self._store.book.stored_head

    @property
    def kept_bytes(self) -> int:
        """What is kept, in bytes, overhead included."""
        return self._store.book.kept_bytes

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after anything was added, in the thread that did."""
        self._listener = listener

    # --- the sampling side ----------------------------------------------------------------------------------------

    def append(self, parcels: Sequence[Parcel], state: Mapping[str, bytes] | None = None) -> Kept:
        """Keep all parcels and the state, or none; durable when it returns.

        Unavailable when the disk has no room or fails: the records are then counted, and reported as a gap as soon as
        it works again.
        """
        with self._store.lock:
            try:
                kept = self._store.once_more(lambda: self._append_making_room(parcels, state or {}))
            except sqlite3.OperationalError as e:
                count = sum(p.count for p in parcels)
                self._unkept += count
                raise Unavailable(
                    f"{count} records could not be kept: {e}", where=str(self._file), mend="free or replace the disk"
                ) from e
        self._listener()
        return kept

    def _append_making_room(self, parcels: Sequence[Parcel], state: Mapping[str, bytes]) -> Kept:
        need = sum(len(p.blob) + table.OVERHEAD for p in parcels)
        over = self._store.book.kept_bytes + need - self._quota
        if over > 0:
            self._drop_oldest(over + self._quota // 20)
        try:
            return self._insert(parcels, state)
        except sqlite3.OperationalError as e:
            if not is_full(e):
                raise
        if not self._store.has_room_again():
            self._store.make_way()
            self._drop_oldest(max(need, self._store.book.kept_bytes // 10))
        return self._insert(parcels, state)

    def _insert(self, parcels: Sequence[Parcel], state: Mapping[str, bytes]) -> Kept:
        """Number and insert in one transaction, after a report of what found no room before."""

        def work(db: sqlite3.Connection, book: Book) -> tuple[Book, Kept]:
            if unkept:
                lost = (book.head + 1, book.head + unkept)
                book = _added(db, replace(book, head=lost[1]), self._gap([lost], NEVER_KEPT))
            first = book.head + 1
            for parcel in parcels:
                book = _added(db, book, parcel)
            known = self._written_state
            table.set_state(db, [(name, value) for name, value in state.items() if known.get(name) != digests[name]])
            return book, Kept(book.epoch, first)

        unkept = self._unkept
        digests = {name: digest_of(value) for name, value in state.items()}
        kept = self._store.write(work)
        self._unkept -= unkept
        self._written_state |= digests
        return kept

    def _drop_oldest(self, bytes_to_free: int) -> None:
        """Apply the policy; each dropped range is reported."""
        for kinds in KINDS_BY_WORTH:
            chosen, freed = choose(table.candidates(self._store.writer, kinds), bytes_to_free)
            for part in self._store.in_steps(chosen):
                self._drop(part)
            if chosen:
                _log.warning("outbox full, oldest records dropped", ranges=ranges_of(chosen), bytes=freed)
            bytes_to_free -= freed
            if bytes_to_free <= 0:
                return

    def _drop(self, chosen: Sequence[Candidate]) -> None:
        def work(db: sqlite3.Connection, book: Book) -> tuple[Book, None]:
            table.remember_dropped(db, [c.last for c in chosen], self._offered)
            table.delete(db, [c.last for c in chosen])
            book = replace(book, kept_bytes=book.kept_bytes - sum(c.size for c in chosen))
            return _added(db, book, self._gap(ranges_of(chosen), DROPPED)), None

        self._store.write(work)

    def wait_below(self, limit_bytes: int, timeout_s: float) -> bool:
        """Wait until less than so much is kept: for a source that can wait, as a recording can."""
        with self._store.lock:
            return self._store.lock.wait_for(lambda: self._store.book.kept_bytes < limit_bytes, timeout_s)

    def state(self, name: str) -> bytes | None:
        """One part of the state as the last append left it; None if there never was one."""

        def work(db: sqlite3.Connection) -> bytes | None:
            row = db.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
            return None if row is None else bytes(row[0])

        return self._store.read(work, None)

    def state_names(self, prefixes: tuple[str, ...]) -> list[str]:
        """The names of the state's parts that begin with one of these, in order."""

        def work(db: sqlite3.Connection) -> list[str]:
            rows = db.execute("SELECT name FROM state ORDER BY name").fetchall()
            return [name for (name,) in rows if name.startswith(prefixes)]

        return self._store.read(work, [])

    # --- the network's side ---------------------------------------------------------------------------------------

    def read(self, after: int, before: int, limit_bytes: int) -> list[Entry]:
        """The oldest entries, alerts aside, between two sequence numbers: at least one, then up to so many bytes."""
        return self._collect(lambda db: table.select(db, after, before), limit_bytes)

    def read_alerts(self, limit_bytes: int = 65_536) -> list[Entry]:
        """The oldest alerts: at least one, then up to so many bytes."""
        return self._collect(table.select_alerts, limit_bytes)

    def _collect(self, query: Callable[[sqlite3.Connection], Iterable[Entry]], limit_bytes: int) -> list[Entry]:
        def work(db: sqlite3.Connection) -> list[Entry]:
            found: list[Entry] = []
            size = 0
            for entry in query(db):
                size += len(entry.blob) + table.OVERHEAD
                if found and size > limit_bytes:
                    break
                found.append(entry)
            return found

        nothing: list[Entry] = []
        entries = self._store.read(work, nothing)
        broken = [e for e in entries if digest_of(e.blob) != e.digest]
        for entry in broken:
            self.quarantine(entry.last, UNREADABLE)
        sound = [e for e in entries if e not in broken]
        if sound:
            self._offered = max(self._offered, sound[-1].last)
        return sound if sound or not broken else self._collect(query, limit_bytes)

    def kept_ranges(self) -> list[Range]:
        """What is kept, as sorted disjoint ranges."""
        return self._store.read(lambda db: merged(table.ranges(db)), [])

    def mark(self, sequence: int) -> bytes | None:
        """The digest of the parcel that ends at this sequence; None if none is known to."""
        with self._store.lock:
            if sequence == self._store.book.stored_head:
                return self._store.book.stored_digest or None
        return self._store.read(lambda db: table.digest_at(db, sequence), None)

    def stored(self, epoch: int, ranges: Iterable[Range]) -> None:
        """Forget what the cloud has committed; ranges of another epoch are ignored."""
        stored = merged(ranges)

        def action() -> None:
            if epoch != self._store.book.epoch:
                return
            whole, digests = self._whole(stored)
            for part in self._store.in_steps(whole):
                self._forget(part, digests)
            self._store.lock.notify_all()

        self._store.guarded(action)

    def _whole(self, ranges: Iterable[Range]) -> tuple[list[Candidate], dict[int, bytes]]:
        """The parcels that are stored from first to last; of others, remember which part is."""
        whole, digests = [], {}
        for lo, hi in ranges:
            for candidate, kind, digest in table.touched(self._store.writer, lo, hi):
                parts = merged([*self._partial.get(candidate.last, ()), (lo, hi)])
                if covers(parts, candidate.first, candidate.last):
                    self._partial.pop(candidate.last, None)
                    whole.append(candidate)
                    if kind is not Kind.ALERT:
                        digests[candidate.last] = digest
                else:
                    self._partial[candidate.last] = parts
        return whole, digests

    def _forget(self, parcels: Sequence[Candidate], digests: Mapping[int, bytes]) -> None:
        def work(db: sqlite3.Connection, book: Book) -> tuple[Book, None]:
            table.delete(db, [p.last for p in parcels])
            book = replace(book, kept_bytes=book.kept_bytes - sum(p.size for p in parcels))
            highest = max((p.last for p in parcels if p.last in digests), default=0)
            if highest > book.stored_head:
                book = replace(book, stored_head=highest, stored_digest=digests[highest])
                table.forget_dropped(db, highest)
            return book, None

        self._store.write(work)

    def quarantine(self, last: int, reason: str) -> None:
        """Take the parcel that ends at `last` out of the way of later ones, keep what is left of it, report a gap."""

        def work(db: sqlite3.Connection, book: Book) -> tuple[Book, None]:
            found = table.move_to_quarantine(db, last, book.epoch, reason)
            if found is None:
                return book, None
            book = replace(book, kept_bytes=book.kept_bytes - found.size)
            _log.error("record quarantined on the device", first=found.first, last=last, reason=reason)
            return _added(db, book, self._gap([(found.first, found.last)], reason)), None

        self._store.guarded(lambda: self._store.write(work))
        self._listener()

    def split(self, entry: Entry, parcels: Sequence[Parcel]) -> None:
        """Keep the records of a parcel as these, which are the same ones in the same order: their numbers stay."""
        if sum(p.count for p in parcels) != entry.last - entry.first + 1:
            raise ValueError("a parcel is split into all of its records")

        def work(db: sqlite3.Connection, book: Book) -> tuple[Book, bool]:
            if table.digest_kept(db, entry.last) != entry.digest:
                return book, False  # dropped or stored meanwhile
            table.delete(db, [entry.last])
            first = entry.first
            for parcel in parcels:
                first = table.insert(db, first, parcel) + 1
            grown = sum(len(p.blob) + table.OVERHEAD for p in parcels) - len(entry.blob) - table.OVERHEAD
            return replace(book, kept_bytes=book.kept_bytes + grown), True

        def action() -> None:
            if self._store.write(work) and (stored := self._partial.pop(entry.last, None)):
                self.stored(self.epoch, stored)

        self._store.guarded(action)

    def new_epoch(self, reason: str) -> int:
        """Number everything that is kept anew, from 1, under a new epoch."""

        def work(db: sqlite3.Connection, book: Book) -> tuple[Book, int]:
            head = table.renumber(db)
            number = max(self._new_number(), book.epoch + 1)
            return Book(epoch=number, head=head, kept_bytes=table.total_size(db)), number

        def action() -> int:
            number = self._store.write(work)
            self._partial.clear()
            self._offered = self._store.book.head
            return number

        old = self._store.book.epoch
        number = self._store.guarded(action)
        _log.error("new epoch begun", reason=reason, old_epoch=old, epoch=number, records_kept=self._store.book.head)
        return number

    def close(self) -> None:
        """Close the file; nothing may be called afterwards."""
        self._store.close()


def _added(db: sqlite3.Connection, book: Book, parcel: Parcel) -> Book:
    head = table.insert(db, book.head + 1, parcel)
    return replace(book, head=head, kept_bytes=book.kept_bytes + len(parcel.blob) + table.OVERHEAD)
