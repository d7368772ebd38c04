"""The whole catalogue as lines of JSON, alike for SQLite and PostgreSQL: each restores the other's backup."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, func, insert, select, text

from cloud.catalogue.tables import metadata
from models.errors import ConfigurationError

_ROWS = 500


def names() -> list[str]:
    """Return the tables, those first that others refer to."""
    return [table.name for table in metadata.sorted_tables]


def lines(connection: Connection, name: str) -> Iterator[bytes]:
    """Yield a table's rows, one line each."""
    table = metadata.tables[name]
    binary = _binary(table)
    for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings():
        values = {k: _text(v) if k in binary and v is not None else v for k, v in row.items()}
        yield json.dumps(values, separators=(",", ":")).encode() + b"\n"


def fill(connection: Connection, name: str, given: Iterable[bytes]) -> int:
    """Insert a table's lines and return how many; columns that the backup's version had not get their defaults."""
    table = metadata.tables[name]
    binary = _binary(table)
    rows = []
    for line in given:
        row: dict[str, Any] = json.loads(line)
        unknown = row.keys() - table.columns.keys()
        if unknown:
            raise ConfigurationError(
                f"the backup's table {name} has {sorted(unknown)}, which this version does not know",
                mend="restore with the version of Forewarn that made the backup, or a newer one",
            )
        rows.append({k: base64.b64decode(v) if k in binary and v is not None else v for k, v in row.items()})
    for at in range(0, len(rows), _ROWS):
        connection.execute(insert(table), rows[at : at + _ROWS])
    return len(rows)


def is_empty(connection: Connection) -> bool:
    """Whether no table has a row."""
    return all(connection.scalar(select(func.count()).select_from(t)) == 0 for t in metadata.sorted_tables)


def number_on(connection: Connection) -> None:
    """Let PostgreSQL number new rows after the restored ones; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        if table.autoincrement_column is not None:
            name, column = table.name, table.autoincrement_column.name
            highest = connection.scalar(select(func.max(table.autoincrement_column)))
            if highest:
                sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :highest)")
                connection.execute(sequence, {"table": name, "column": column, "highest": highest})


def _binary(table: Table) -> set[str]:
    return {c.name for c in table.columns if isinstance(c.type, LargeBinary)}


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
