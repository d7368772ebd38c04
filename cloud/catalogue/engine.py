"""Opens the catalogue: SQLite by default, PostgreSQL by URL (`postgresql+pg8000://user@host/db`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event

BUSY_SECONDS = 10  # how long a writer waits for another before the caller sees `Unavailable`
ANSWER_SECONDS = 30  # how long PostgreSQL may be silent, also within a statement


def open_engine(url: str) -> Engine:
    """Return an engine whose transactions are serial where it matters.

    SQLite: WAL, synchronous=FULL, and every transaction that `begin()` opens takes the write lock at once, so that two
    writers wait for each other instead of failing half-way.
    """
    if not url.startswith("sqlite"):
        timeouts = {"timeout": ANSWER_SECONDS} if "+pg8000" in url else {}
        return create_engine(
            url, connect_args=timeouts, pool_pre_ping=True, pool_size=5, max_overflow=5, pool_timeout=BUSY_SECONDS
        )
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below decides, not the driver
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
