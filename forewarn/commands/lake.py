"""`forewarn lake`: what is stored, whether all of it is there, and its upkeep."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from forewarn.commands.options import DATA, JSON

HOUR_NS = 3600 * 1_000_000_000


@click.group()
def lake() -> None:
    """What is stored, whether all of it is there, and its upkeep."""


@lake.command()
@DATA
@JSON
@click.option("--kind", help="Only this kind: features, scalars, spectrum, waveform, health, assessment, state, gap.")
@click.option("--as-of", type=int, help="The lake at this commit.")
def ls(data: Path, as_json: bool, kind: str | None, as_of: int | None) -> None:
    """List the segments that make the lake."""
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    segments = cloud.lake.segments(kind, as_of=as_of)
    if as_json:
        click.echo(json.dumps({"commit": as_of or cloud.lake.head(), "segments": [asdict(s) for s in segments]}))
        return
    for s in segments:
        click.echo(f"{s.rows:>9} rows {s.bytes:>10} bytes  {s.path}")
    click.echo(
        f"{sum(s.rows for s in segments)} rows in {len(segments)} segments at commit {as_of or cloud.lake.head()}"
    )


@lake.command()
@DATA
@JSON
@click.option("--site", help="Only this site.")
def ledger(data: Path, as_json: bool, site: str | None) -> None:
    """Say of each device what is stored, what will never come, and what is missing."""
    from cloud.wiring import open_cloud

    books = open_cloud(data).lake.ledger(site)
    if as_json:
        click.echo(json.dumps([_book(b) for b in books]))
        return
    for b in books:
        lost = sum(last - first + 1 for first, last, _ in b.gaps)
        click.echo(
            f"{b.site}/{b.device} epoch {b.epoch}: {len(b.stored)} stored ({b.quarantined} in quarantine), "
            f"{len(b.alerts)} alerts, {lost} given up by the device, {len(b.missing)} missing of {b.device_head}"
        )
        for first, last, reason in b.gaps:
            click.echo(f"    gap {first}-{last}: {reason}")


def _book(book: Any) -> dict[str, Any]:
    return {
        "site": book.site,
        "device": book.device,
        "epoch": book.epoch,
        "device_head": book.device_head,
        "stored": list(book.stored),
        "alerts": list(book.alerts),
        "missing": list(book.missing),
        "gaps": [{"first": first, "last": last, "reason": reason} for first, last, reason in book.gaps],
        "quarantined": book.quarantined,
    }


@lake.command()
@DATA
@JSON
@click.option("--site", help="Only this site.")
def gaps(data: Path, as_json: bool, site: str | None) -> None:
    """Say what is missing of each device and why; exit code 0 also when something is."""
    from cloud.lake.gaps import read
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    found = read(cloud.engine, cloud.enterprise, now_ns=time.time_ns(), site=site)
    if as_json:
        click.echo(json.dumps([{**asdict(one), "records": one.records} for one in found]))
        return
    for one in found:
        click.echo(
            f"{one.site}/{one.device} epoch {one.epoch}: {one.first}-{one.last}, {one.records} records "
            f"{'will not come' if one.final else 'are missing'}: {one.reason}"
        )
    click.echo(f"{sum(one.records for one in found)} records missing in {len(found)} gaps" if found else "no gaps")


@lake.command()
@DATA
@JSON
@click.option("--days", type=click.FloatRange(min=0, min_open=True), required=True, help="Kept after it was received.")
def retain(data: Path, as_json: bool, days: float) -> None:
    """Let segments go whose rows were all received longer ago; `gc` deletes their objects later."""
    from cloud.lake.retention import retain as let_go
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    done = let_go(cloud.engine, cloud.store, cloud.enterprise, older_than_ns=int(days * 24 * HOUR_NS))
    click.echo(json.dumps(asdict(done)) if as_json else f"{done.rows} rows in {done.segments} segments let go")
    if done.damaged:
        click.echo(f"{done.damaged} damaged segments stay; `forewarn lake verify` names them", err=True)
        sys.exit(1)


@lake.command()
@DATA
@JSON
def verify(data: Path, as_json: bool) -> None:
    """Read every object and compare it with the catalogue; exit code 1 when anything is wrong."""
    from cloud.lake.verify import verify as check
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    problems = list(check(cloud.engine, cloud.store, cloud.enterprise))
    if as_json:
        click.echo(json.dumps({"problems": problems}))
    else:
        for problem in problems:
            click.echo(problem)
        click.echo("all is well" if not problems else f"{len(problems)} problems")
    if problems:
        sys.exit(1)


@lake.command()
@DATA
@JSON
@click.option("--all", "everything", is_flag=True, help="Merge any two small segments, not only eight of a size.")
def compact(data: Path, as_json: bool, everything: bool) -> None:
    """Merge small segments now."""
    from cloud.lake.compaction import FAN_IN, Compactor
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    merged = Compactor(cloud.enterprise, cloud.engine, cloud.store).compact(fan_in=2 if everything else FAN_IN)
    click.echo(json.dumps({"merged": merged}) if as_json else f"{merged} segments merged")


@lake.command()
@DATA
@JSON
@click.option(
    "--older-than", "hours", type=float, default=168.0, show_default=True, help="Hours since it was replaced."
)
def gc(data: Path, as_json: bool, hours: float) -> None:
    """Delete segments that compaction replaced long ago, and objects that no commit names."""
    from cloud.lake.gc import collect
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    done = collect(cloud.engine, cloud.store, cloud.enterprise, older_than_ns=int(hours * HOUR_NS))
    click.echo(
        json.dumps(asdict(done)) if as_json else f"{done.replaced} replaced segments and {done.orphans} orphans deleted"
    )
