"""`forewarn status`: one screen that says whether all is well, and what is not."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forewarn.commands.options import DATA, JSON

if TYPE_CHECKING:
    from cloud.health import Facts


@click.command()
@DATA
@JSON
def status(data: Path, as_json: bool) -> None:
    """Say whether all is well with the cloud and its devices; exit code 1 when something is not."""
    from cloud.health import judge, look
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    facts = look(cloud.engine, cloud.store, cloud.enterprise, time.time_ns())
    problems = judge(facts)
    if as_json:
        click.echo(json.dumps({"well": not problems, "problems": [asdict(p) for p in problems], **asdict(facts)}))
    else:
        _show(facts)
        for problem in problems:
            click.echo(f"  !  {problem.what}\n     {problem.mend}")
        click.echo("all is well" if not problems else f"{len(problems)} things are not well")
    cloud.close()
    if problems:
        sys.exit(1)


def _show(facts: Facts) -> None:
    alerts = ", ".join(f"{count} of severity {severity}" for severity, count in facts.open_alerts.items())
    age = (
        "" if facts.newest_commit_ns is None else f", newest {(facts.now_ns - facts.newest_commit_ns) / 1e9:.0f} s ago"
    )
    click.echo(f"devices    {len(facts.devices)}, watching {facts.machines} machines")
    click.echo(f"alerts     {alerts or 'none open'}")
    click.echo(f"lake       {facts.rows} rows in {facts.segments} segments, {facts.bytes} bytes{age}")
    click.echo(f"records    {facts.on_their_way} on their way, {facts.lost} will not come")
