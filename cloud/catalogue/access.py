"""Transactions on the catalogue, with the database's failures turned into `Unavailable`, which mends itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.errors import Unavailable

# SQLSTATE (PostgreSQL manual, appendix A): a standby that is not the primary yet, and the classes connection, rolled
# back, resources, object in use, intervention, system.
_PASSING = ("25006", "08", "40", "53", "55", "57", "58")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that changes nothing; on SQLite it does not wait for writers."""
    with _failures(engine), engine.connect().execution_options(read_only=True) as connection:
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A reading transaction whose statements all see the same moment (on SQLite every one does)."""
    options: dict[str, str] = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with _failures(engine), engine.connect().execution_options(read_only=True, **options) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits at the end of the block, or leaves nothing when the block raises."""
    with _failures(engine), engine.begin() as connection:
        yield connection


def _mends_itself(error: DBAPIError) -> bool:
    """Whether PostgreSQL says that it is starting, stopping or short of something.

    pg8000 gives such a refusal the class of a wrong statement, as all that is not about integrity. `C` is the SQLSTATE.
    """
    said = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return isinstance(said, dict) and str(said.get("C", "")).startswith(_PASSING)


@contextmanager
def _failures(engine: Engine) -> Iterator[None]:
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except (IntegrityError, ProgrammingError) as e:
        if not _mends_itself(e):
            raise  # an error of ours: waiting would not mend it
        raise Unavailable(f"the catalogue does not answer: {e.args[0]}", where=where) from e
    except (DBAPIError, PoolTimeout, DisconnectionError, ConnectionError, TimeoutError) as e:
        raise Unavailable(f"the catalogue does not answer: {e.args[0] if e.args else e}", where=where) from e
