"""Brings a catalogue to the newest schema, once, also when several processes open it at the same moment."""

# ruff: noqa: PLC0415 - a catalogue that is up to date needs no Alembic
from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, inspect, text

from cloud.catalogue import migrations
from cloud.catalogue.access import reading, writing
from models.errors import ConfigurationError

log: structlog.stdlib.BoundLogger = structlog.get_logger()
_LOCK = 4642677  # any number, the same for all who migrate this catalogue


def migrate(engine: Engine) -> None:
    """Upgrade the catalogue behind `engine`; one that is up to date costs a single query.

    A catalogue from a newer version is a `ConfigurationError` and stays as it is.
    """
    with reading(engine) as connection:
        if _version(connection) == migrations.HEAD:
            return
    with writing(engine) as connection:  # SQLite: this waits for another process that migrates
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        before = _version(connection)
        if before != migrations.HEAD:
            _upgrade(connection, before)
            log.info("catalogue migrated", before=before or "empty", after=migrations.HEAD)


def _upgrade(connection: Connection, before: str | None) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    try:
        command.upgrade(configuration(connection), "head")
    except CommandError as e:
        raise ConfigurationError(
            f"the catalogue has schema {before}, which this version does not know",
            where=connection.engine.url.render_as_string(hide_password=True),
            mend="start the version of Forewarn that wrote it, or a newer one",
        ) from e


def configuration(connection: Connection) -> Any:
    """Return an Alembic configuration that works on `connection`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version
