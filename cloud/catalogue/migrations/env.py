"""Runs under Alembic, always on the connection of the one who migrates: it owns the transaction and the lock."""

from __future__ import annotations

from alembic import context

from cloud.catalogue.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
