"""`forewarn cloud`: gateway and pages."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forewarn.commands.options import DATA

if TYPE_CHECKING:
    from cloud.wiring import Cloud


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
@click.option("--on-ray", is_flag=True, help="Run a gateway, without pages, on every node of a Ray cluster.")
@click.option(
    "--address", default="auto", show_default=True, envvar="RAY_ADDRESS", help="The Ray cluster's, or `local`."
)
def serve(data: Path, gateway: str | None, page: str | None, no_page: bool, on_ray: bool, address: str) -> None:
    """Run gateway and pages until SIGTERM, then store what was taken and end.

    Prints one line of JSON with the addresses when all are up. On Ray each gateway listens on its node's own address,
    at the port of --gateway, and reads DATA/cloud.toml on its node.
    """
    from cloud.wiring import open_cloud

    opened = open_cloud(data)
    if on_ray:
        _serve_on_ray(opened, gateway, page, address)
        return
    from cloud.serve import serve as run

    pages = None if no_page else page or opened.config.page
    try:
        asyncio.run(run(opened, gateway=gateway or opened.config.gateway, page=pages, ready=click.echo))
    finally:
        opened.close()


def _serve_on_ray(opened: Cloud, gateway: str | None, page: str | None, cluster: str) -> None:
    from cloud.on_ray import serve_on_ray
    from models.errors import WrongUse

    port = (gateway or opened.config.gateway).rpartition(":")[2]
    if page is not None or not port.isdigit():
        raise WrongUse("with --on-ray, give a port with --gateway and no --page", mend="run pages by a second command")
    serve_on_ray(opened.data, cluster=cluster, port=int(port), ready=click.echo)


@cloud.command()
@DATA
def migrate(data: Path) -> None:
    """Bring the catalogue to this version's schema; every command does so when it opens an older one."""
    from cloud.catalogue.migrations import HEAD
    from cloud.wiring import open_cloud

    opened = open_cloud(data)
    click.echo(f"{opened.engine.url.render_as_string(hide_password=True)} has schema {HEAD}")
    opened.close()
