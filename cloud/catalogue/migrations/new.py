"""Writes the next step: the difference between the steps so far and `tables.py`, found on an empty database."""

from __future__ import annotations

import sys

from alembic import command
from sqlalchemy import create_engine

from cloud.catalogue import migrations
from cloud.catalogue.migrate import configuration


def main() -> None:
    """Take the number and the sentence of the step from the command line."""
    number, message = sys.argv[1:]
    with create_engine("sqlite://").begin() as connection:
        config = configuration(connection)
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        if migrations.HEAD:
            command.upgrade(config, "head")
        command.revision(config, message=message, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    main()
