"""Insert or update, which SQLite and PostgreSQL write alike and SQL does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_
from sqlalchemy.dialects import postgresql, sqlite

_ROWS = 500  # in one statement: below every database's limit of parameters


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    update: Sequence[str] = (),
    newer: str | None = None,
) -> None:
    """Insert `rows`; where the primary key exists, set the columns `update`, or nothing.

    `newer` names a column: only a row whose value there is not below the existing one updates it. Rows are sorted by
    key, so that two writers cannot wait for each other.
    """
    keys = [c.name for c in table.primary_key.columns]
    ordered = sorted(rows, key=lambda row: tuple(str(row[k]) for k in keys))
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for at in range(0, len(ordered), _ROWS):
        statement: Any = dialect.insert(table).values(list(ordered[at : at + _ROWS]))
        if update:
            where = None if newer is None else and_(statement.excluded[newer] >= table.c[newer])
            values = {name: statement.excluded[name] for name in update}
            statement = statement.on_conflict_do_update(index_elements=keys, set_=values, where=where)
        else:
            statement = statement.on_conflict_do_nothing(index_elements=keys)
        connection.execute(statement)
