"""`forewarn backup` and `forewarn restore`: everything the cloud has, in one folder."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from forewarn.commands.options import DATA, JSON

_FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))


@click.command()
@DATA
@JSON
@_FOLDER
def backup(data: Path, as_json: bool, folder: Path) -> None:
    """Write catalogue, objects and keys into DIR, which must not exist; the cloud may go on meanwhile.

    DIR holds the keys that sign models: keep it as safe as the data folder.
    """
    from cloud.backup import back_up
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    done = back_up(cloud, folder)
    cloud.close()
    said = f"{done.rows} rows and {done.objects} objects, {done.bytes} bytes, backed up in {folder}"
    click.echo(json.dumps(asdict(done)) if as_json else said)


@click.command()
@DATA
@JSON
@_FOLDER
def restore(data: Path, as_json: bool, folder: Path) -> None:
    """Fill an empty cloud from the backup DIR; cloud.toml of the new place counts, not the backup's."""
    from cloud.backup import restore as bring_back
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    done = bring_back(cloud, folder)
    cloud.close()
    said = f"{done.rows} rows and {done.objects} objects restored from {folder}"
    click.echo(json.dumps(asdict(done)) if as_json else said)
