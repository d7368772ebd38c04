"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("forewarn-data"),
    envvar="FOREWARN_DATA",
    show_default=True,
    show_envvar=True,
    help="The cloud's data folder; cloud.toml in it is its configuration.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="For machines: one JSON document.")
