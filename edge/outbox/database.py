"""The SQLite file under the outbox: how it is opened, what is in it, and what is done with a damaged one.

Two connections: one writes, under the outbox's lock; one reads, so that the network never waits for the sampling
thread's fsync. WAL with synchronous=FULL: a COMMIT that returned is on the disk.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from models.errors import WrongUse

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE parcel (last INTEGER PRIMARY KEY, first INTEGER NOT NULL, kind INTEGER NOT NULL, size INTEGER NOT NULL,
                     digest BLOB NOT NULL, blob INTEGER NOT NULL);
CREATE INDEX parcel_alert ON parcel (last) WHERE kind = 5;
CREATE TABLE blob (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE dropped (last INTEGER PRIMARY KEY, digest BLOB NOT NULL);
CREATE TABLE quarantine (id INTEGER PRIMARY KEY, epoch INTEGER, first INTEGER, last INTEGER, reason TEXT, data BLOB);
"""
_VERSION = 1
_DAMAGED_KEPT = 3
_MOST_PAGES = 0xFFFFFFFE  # SQLite's own limit
_BUSY_MS = 10_000
_LOG_PAGES = 128  # 512 KiB of log before it is folded in: on a full disk that must fit into the reserve
_log = structlog.get_logger()


class Damaged(Exception):
    """The file is not what we wrote."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is broken, in contrast to a full or failing disk."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_full(error: sqlite3.DatabaseError) -> bool:
    """Whether there is no room left."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


class Database:
    """The file with its two connections."""

    def __init__(self, file: Path) -> None:
        """Open or create; Damaged when the file is broken, WrongUse when the folder cannot be used."""
        self.file = file
        existed = file.exists()
        if existed and file.stat().st_size == 0:
            raise Damaged("the file is empty")
        with ExitStack() as on_failure:
            try:
                self.writer = self._connect(on_failure)
                self._prepare(existed)
                self.reader = self._connect(on_failure)
            except sqlite3.DatabaseError as e:
                if is_damage(e):
                    raise Damaged(str(e)) from e
                raise WrongUse(
                    f"cannot use the outbox: {e}", where=str(file), mend="the folder must exist and be writable"
                ) from e
            on_failure.pop_all()

    def _connect(self, on_failure: ExitStack) -> sqlite3.Connection:
        connection = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1e3)
        on_failure.callback(connection.close)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        connection.execute("PRAGMA cache_size=-1024")
        return connection

    def _prepare(self, existed: bool) -> None:
        version = self.writer.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and existed:
            raise Damaged("the file holds no tables")
        if version == 0:
            with self.transaction():
                for statement in _TABLES.split(";"):
                    self.writer.execute(statement)
                self.writer.execute(f"PRAGMA user_version={_VERSION}")
        elif version > _VERSION:
            raise WrongUse(
                f"this outbox was written by a newer Forewarn (format {version})", where=str(self.file), mend="update"
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on the disk when it ends well."""
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            yield self.writer
            self.writer.execute("COMMIT")
        except BaseException:
            if self.writer.in_transaction:
                self.writer.execute("ROLLBACK")
            raise

    def fold(self) -> None:
        """Move the write-ahead log into the file and give its room back."""
        self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def limit_to_present_size(self, limited: bool = True) -> None:
        """Refuse to grow (SQLITE_FULL) beyond the pages that the file has, used or free; or grow again."""
        pages = self.writer.execute("PRAGMA page_count").fetchone()[0] if limited else _MOST_PAGES
        self.writer.execute(f"PRAGMA max_page_count={pages}")

    def close(self) -> None:
        """Close both connections; the last one folds the write-ahead log into the file."""
        self.reader.close()
        self.writer.close()


def set_aside(file: Path, reason: str) -> Path:
    """Rename a damaged file with its log, so that a person may look, and say so."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 0
    while (aside := file.with_name(f"{file.name}.damaged-{stamp}-{number}")).exists():
        number += 1
    file.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = file.with_name(file.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    for old in sorted(file.parent.glob(f"{file.name}.damaged-*-[0-9]"))[:-_DAMAGED_KEPT]:
        for part in (old, *(old.with_name(old.name + suffix) for suffix in ("-wal", "-shm"))):
            part.unlink(missing_ok=True)
    _log.error("outbox damaged, starting a new epoch", file=str(file), reason=reason, kept_as=str(aside))
    return aside


def open_or_start_over(file: Path) -> Database:
    """Open the outbox's file; a damaged one is kept aside and replaced by an empty one."""
    try:
        return Database(file)
    except Damaged as e:
        set_aside(file, str(e))
        return Database(file)
