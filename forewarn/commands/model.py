"""`forewarn model`: what is published, what runs where, and whether a file is what it says."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import datetime
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forewarn.commands.options import DATA, JSON

if TYPE_CHECKING:
    from cloud.catalogue.rollout import BundleRow
    from edge.updater.messages import Verdict

_TRIAL_S = 120.0
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def model() -> None:
    """Bundles: signed failure models, and which of them the machines run."""


@model.command("list")
@DATA
@JSON
def list_(data: Path, as_json: bool) -> None:
    """List the published bundles, newest first."""
    from cloud.wiring import open_cloud

    rows = open_cloud(data).registry.list()
    if as_json:
        click.echo(json.dumps([_as_dict(row) for row in rows]))
        return
    for row in rows:
        click.echo(f"{row.state:<9} {row.name}  for {row.machine_class}  {_when(row)}  {row.bytes} bytes")
    if not rows:
        click.echo("no bundle is published; `forewarn train --publish` makes one")


@model.command()
@click.argument("name")
@DATA
@JSON
def show(name: str, data: Path, as_json: bool) -> None:
    """Show a published bundle: its manifest's figures and its model card."""
    from cloud.wiring import open_cloud
    from models.bundle import unpack

    registry = open_cloud(data).registry
    card = unpack(registry.read(name)).card
    row = next(row for row in registry.list() if row.name == name)
    if as_json:
        click.echo(json.dumps({**_as_dict(row), "card": card}))
        return
    manifest = json.loads(row.manifest)
    click.echo(f"{row.name}: {row.state}, for machines of class {row.machine_class}, published {_when(row)}")
    click.echo(f"sha256 {row.sha256}, {row.bytes} bytes")
    click.echo(f"learned from {len(manifest['lineage']['machines'])} machines; intervals: {manifest['coverage']}")
    click.echo(f"\n{card}")


@model.command()
@click.argument("file", type=_FILE)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Also check that the registry in this data folder signed exactly these bytes.",
)
@JSON
def verify(file: Path, data: Path | None, as_json: bool) -> None:
    """Check a bundle's file as a device would: form, graph, and its golden vectors, in a process with limits."""
    from edge.updater.messages import Outcome
    from models.errors import BundleRejected

    bundle = file.read_bytes()
    verdict = _try(bundle)
    if verdict.outcome is not Outcome.ACCEPTED:
        raise BundleRejected(verdict.reason, where=str(file))
    state = ""
    if data is not None:
        from cloud.wiring import open_cloud

        state = open_cloud(data).registry.verify(bundle)
    if as_json:
        figures = {k: getattr(verdict, k) for k in ("name", "sha256", "feature_difference", "output_difference")}
        click.echo(json.dumps({**figures, "signed_as": state or None}))
        return
    click.echo(f"{file}: {verdict.name} is whole, and does here what it did in training")
    click.echo(
        f"largest difference: features {verdict.feature_difference:.1e}, outputs {verdict.output_difference:.1e}"
    )
    click.echo(f"signed as {state}" if state else "its signature was not checked (--data names the registry)")


@model.command()
@click.argument("file", type=_FILE)
@DATA
@JSON
def publish(file: Path, data: Path, as_json: bool) -> None:
    """Sign a bundle's file and keep it as a candidate; no machine runs it yet."""
    from cloud.wiring import open_cloud

    name = open_cloud(data).registry.publish(file.read_bytes())
    click.echo(json.dumps({"name": name}) if as_json else f"{name} is published; `forewarn model promote {name}` next")


@model.command()
@click.argument("name")
@DATA
@JSON
def promote(name: str, data: Path, as_json: bool) -> None:
    """Let all machines of the bundle's class run it."""
    from cloud.wiring import open_cloud

    open_cloud(data).registry.promote(name)
    click.echo(json.dumps({"name": name}) if as_json else f"{name} is signed as champion; devices switch to it now")


@model.command()
@click.argument("machine_class", metavar="CLASS")
@DATA
@JSON
def rollback(machine_class: str, data: Path, as_json: bool) -> None:
    """Go back to what the machines of CLASS ran before."""
    from cloud.wiring import open_cloud

    name = open_cloud(data).registry.rollback(machine_class)
    click.echo(json.dumps({"name": name}) if as_json else f"{machine_class} goes back to {name}")


@model.command()
@click.argument("name")
@DATA
@JSON
def block(name: str, data: Path, as_json: bool) -> None:
    """Never run a bundle again; what ran before it takes over, or no model."""
    from cloud.wiring import open_cloud

    open_cloud(data).registry.block(name)
    click.echo(json.dumps({"name": name}) if as_json else f"{name} is blocked")


def _try(bundle: bytes) -> Verdict:
    from edge.updater.messages import Job
    from edge.updater.trial import Trial

    with tempfile.TemporaryDirectory(prefix="forewarn-verify-") as folder:
        file = Path(folder) / "bundle.fwb"
        file.write_bytes(bundle)
        job = Job(machine_class="", bundle="", trusted_root=b"", metadata_dir=folder, file=str(file))
        return Trial(job, lambda _: (), deadline_s=_TRIAL_S, stop_fetching=lambda: None).run()


def _as_dict(row: BundleRow) -> dict[str, Any]:
    return {**asdict(row), "manifest": json.loads(row.manifest)}


def _when(row: BundleRow) -> str:
    return datetime.datetime.fromtimestamp(row.published_ns * 1e-9, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
