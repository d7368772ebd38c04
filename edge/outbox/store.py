"""The outbox's file in use: transactions, a reader that never waits, damage, and a disk that is full.

Two locks, always taken in this order: `lock` for whoever writes, `_read_lock` for whoever reads.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge.outbox import table
from edge.outbox.database import Database, is_damage, is_full, open_or_start_over, set_aside
from edge.outbox.policy import Candidate
from edge.outbox.reserve import Reserve
from models.errors import Unavailable

T = TypeVar("T")
_AT_ONCE = 1000  # parcels forgotten in one transaction: sampling waits for tens of milliseconds at most
_AT_ONCE_CRAMPED = 32  # on a full disk even forgetting needs room in the log
_KEPT_IN_FILE = ("epoch", "head", "stored_head", "stored_digest")


@dataclass(frozen=True, slots=True)
class Book:
    """What the file says of itself; replaced only after the transaction that changes it."""

    epoch: int
    head: int = 0
    stored_head: int = 0
    stored_digest: bytes = b""
    kept_bytes: int = 0


class Store:
    """One database and its book."""

    def __init__(self, file: Path, new_number: Callable[[], int], on_new_file: Callable[[], None]) -> None:
        """`new_number` names an epoch; `on_new_file` is told when what was known of the old file is void."""
        self.file = file
        self.lock = threading.Condition(threading.RLock())
        self._read_lock = threading.Lock()
        self._new_number = new_number
        self._on_new_file = on_new_file
        self._reserve = Reserve(file.with_name("reserve"))
        try:
            self._use(open_or_start_over(file))
        except sqlite3.DatabaseError as e:
            if not is_damage(e):
                raise
            self._database.close()
            set_aside(file, str(e))
            self._use(Database(file))

    def _use(self, database: Database) -> None:
        """Read what the file says, or begin an epoch in an empty one."""
        self._database = database
        meta = table.get_meta(database.writer)
        if "epoch" not in meta:
            meta = {"epoch": self._new_number(), "head": 0, "stored_head": 0, "stored_digest": b""}
            with database.transaction():
                table.set_meta(database.writer, meta)
        self.book = Book(**meta, kept_bytes=table.total_size(database.writer))
        self._cramped = not self._reserve.refill()

    @property
    def writer(self) -> sqlite3.Connection:
        """The connection that writes; the lock is held while it is used."""
        return self._database.writer

    def write(self, work: Callable[[sqlite3.Connection, Book], tuple[Book, T]]) -> T:
        """One transaction, under the lock; the book changes after its commit."""
        with self._database.transaction() as db:
            book, result = work(db, self.book)
            changed = {n: getattr(book, n) for n in _KEPT_IN_FILE if getattr(book, n) != getattr(self.book, n)}
            table.set_meta(db, changed)
        self.book = book
        return result

    def read(self, work: Callable[[sqlite3.Connection], T], if_damaged: T) -> T:
        """Read from any thread, without waiting for a writer."""
        with self._read_lock:
            database = self._database
            try:
                return work(database.reader)
            except sqlite3.DatabaseError as e:
                if not is_damage(e):
                    raise Unavailable(f"the outbox cannot be read: {e}", where=str(self.file)) from e
                damage = str(e)
        with self.lock:
            self._start_over(database, damage)
        return if_damaged

    def guarded(self, action: Callable[[], T]) -> T:
        """Do what the network's side asks for, with the reserve if the disk is full; Unavailable if that fails."""
        with self.lock:
            try:
                try:
                    return self.once_more(action)
                except sqlite3.OperationalError as e:
                    if not is_full(e):
                        raise
                self.make_way()
                return self.once_more(action)
            except sqlite3.OperationalError as e:
                raise Unavailable(f"the outbox cannot be written: {e}", where=str(self.file)) from e

    def once_more(self, action: Callable[[], T]) -> T:
        """Run `action`; if the file turns out to be damaged, once more with a new one. The lock is held."""
        try:
            return action()
        except sqlite3.DatabaseError as e:
            if not is_damage(e):
                raise
            self._start_over(self._database, str(e))
        return action()

    def _start_over(self, damaged: Database, reason: str) -> None:
        """Keep the damaged file aside and go on with an empty one; the lock is held."""
        with self._read_lock:
            if self._database is not damaged:
                return  # another thread was first
            damaged.close()
            set_aside(self.file, reason)
            self._use(Database(self.file))
            self._on_new_file()

    def close(self) -> None:
        """Close the file; nothing may be called afterwards."""
        with self.lock, self._read_lock:
            self._database.close()

    # --- a full disk ----------------------------------------------------------------------------------------------

    def make_way(self) -> None:
        """Give the reserve to the log, and let the file grow no further into it."""
        self._cramped = True
        self._reserve.release()
        self._database.limit_to_present_size()

    def has_room_again(self) -> bool:
        """Whether somebody made room on a disk that was full; the file may then grow as before."""
        if self._cramped and self._reserve.refill():
            self._cramped = False
            self._database.limit_to_present_size(False)
            return True
        return False

    def in_steps(self, parcels: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
        """Parcels in parts that may be forgotten in one transaction; on a full disk the log is folded in after each."""
        at_once = _AT_ONCE_CRAMPED if self._cramped else _AT_ONCE
        for i in range(0, len(parcels), at_once):
            yield parcels[i : i + at_once]
            if self._cramped:
                self._database.fold()
