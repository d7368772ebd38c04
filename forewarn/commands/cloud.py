"""`forewarn cloud`: gateway and pages."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import asyncio
from pathlib import Path

import click

from forewarn.commands.options import DATA


@click.group()
def cloud() -> None:
    """Gateway and pages."""


@cloud.command()
@DATA
@click.option(
    "--gateway", metavar="HOST:PORT", help="Where devices call; port 0: any free one.  [default: cloud.toml's]"
)
@click.option("--page", metavar="HOST:PORT", help="Where people look; port 0: any free one.  [default: cloud.toml's]")
@click.option("--no-page", is_flag=True, help="Run the gateway alone.")
def serve(data: Path, gateway: str | None, page: str | None, no_page: bool) -> None:
    """Run gateway and pages until SIGTERM, then store what was taken and end.

    Prints one line of JSON with both addresses when both are up.
    """
    from cloud.serve import serve as run
    from cloud.wiring import open_cloud

    opened = open_cloud(data)
    pages = None if no_page else page or opened.config.page
    try:
        asyncio.run(run(opened, gateway=gateway or opened.config.gateway, page=pages, ready=click.echo))
    finally:
        opened.close()


@cloud.command()
@DATA
def migrate(data: Path) -> None:
    """Bring the catalogue to this version's schema; every command does so when it opens an older one."""
    from cloud.catalogue.migrations import HEAD
    from cloud.wiring import open_cloud

    opened = open_cloud(data)
    click.echo(f"{opened.engine.url.render_as_string(hide_password=True)} has schema {HEAD}")
    opened.close()
