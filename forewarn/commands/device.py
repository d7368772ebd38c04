"""`forewarn device`: what the cloud keeps for a device."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from forewarn.commands.options import DATA


@click.group()
def device() -> None:
    """What the cloud keeps for a device."""


@device.command()
@click.argument("name", metavar="DEVICE")
@DATA
@click.option("--site", default="demo", show_default=True, help="Where it stood.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
def state(name: str, data: Path, site: str, out: Path) -> None:
    """Write the newest copies of what DEVICE had learned, for a replacement of another name.

    `forewarn edge state import FILE` takes them over there; one of the same name asks for them itself. What was learned
    before the crew last ordered a new baseline is left out.
    """
    from cloud.catalogue.access import reading
    from cloud.catalogue.downlink import newest_baselines
    from cloud.lake.copies import newest
    from cloud.wiring import open_cloud
    from edge.carry.copy import write_file
    from models.errors import WrongUse

    cloud = open_cloud(data)
    with reading(cloud.engine) as connection:
        repaired = newest_baselines(connection, cloud.enterprise, site)
    found = newest(cloud.lake, site, name, after_ns=repaired)
    if not found:
        mend = "is its name right? `forewarn lake ledger` has all"
        raise WrongUse(f"no copy of what {name} at {site} had learned", mend=mend)
    write_file(out, [found[machine].data for machine in sorted(found)])
    for machine, copy in sorted(found.items()):
        made = datetime.fromtimestamp(copy.event_time_ns * 1e-9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        click.echo(f"{out}: {machine}, learned up to {made}")
