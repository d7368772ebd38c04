"""`forewarn label`: the crews' findings become what the next model learns from."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from forewarn.commands.options import DATA, JSON


@click.group()
def label() -> None:
    """Maintenance history as labels."""


@label.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@DATA
@JSON
def import_(file: Path, data: Path, as_json: bool) -> None:
    """Import FILE.csv: columns machine, time (ISO 8601 or ns), event[, site, part, note].

    Events: failed, replaced, repaired, inspected_good. A wrong line is reported and left out (exit code 2 at the end);
    a line that is known already is fine.
    """
    from cloud.catalogue import maintenance
    from cloud.catalogue.access import reading, writing
    from cloud.wiring import open_cloud
    from forewarn.labels import read_labels
    from models.errors import WrongUse

    cloud = open_cloud(data)
    sites: dict[str, set[str]] = {}
    with reading(cloud.engine) as c:
        for known in maintenance.machines(c, cloud.enterprise):
            sites.setdefault(known.machine, set()).add(known.site)
    lines = list(read_labels(file, sites))
    rows = [line for line in lines if not isinstance(line, WrongUse)]
    wrong = [str(line) for line in lines if isinstance(line, WrongUse)]
    with writing(cloud.engine) as c:
        added = maintenance.add(c, cloud.enterprise, rows)
    for line in wrong:
        click.echo(f"forewarn: {line}", err=True)
    if as_json:
        click.echo(json.dumps({"added": added, "known": len(rows) - added, "wrong": wrong}))
    else:
        click.echo(f"{added} labels added, {len(rows) - added} known already, {len(wrong)} wrong lines left out")
    sys.exit(2 if wrong else 0)


@label.command("list")
@DATA
@JSON
def list_(data: Path, as_json: bool) -> None:
    """List the maintenance history, oldest first."""
    from datetime import UTC, datetime

    from cloud.catalogue import maintenance
    from cloud.catalogue.access import reading
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    with reading(cloud.engine) as c:
        rows = maintenance.history(c, cloud.enterprise)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
        return
    for row in rows:
        time = datetime.fromtimestamp(row.time_ns // 10**9, UTC)
        click.echo(
            f"{time:%Y-%m-%d %H:%M:%S}  {row.event:<14}  {row.site}/{row.machine}  {row.part}  {row.note}".rstrip()
        )
