"""`forewarn bundle`: what a device without a network is installed from."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import tempfile
from pathlib import Path

import click

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def bundle() -> None:
    """Offline installations: edge."""


@bundle.command()
@click.option("--arch", type=click.Choice(["aarch64", "x86_64"]), required=True, help="The device's processor.")
@click.option("--out", type=_FILE, required=True, help="The archive (.tar.gz) to write.")
@click.option("--with-replay", is_flag=True, help="Add what reads and writes Parquet (edge record, edge replay).")
@click.option(
    "--project", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="A checkout.  [default: here]"
)
def edge(arch: str, out: Path, with_replay: bool, project: Path) -> None:
    """Put the agent's pinned wheels, our own, install.sh and the systemd unit into one archive. Needs a network."""
    from forewarn.deploy import wheelhouse

    project = project.resolve()
    pins = project / "constraints" / ("replay.txt" if with_replay else "edge.txt")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / wheelhouse.NAME
        count = wheelhouse.collect(arch, project, pins, folder)
        wheelhouse.pack(folder, out)
    click.echo(f"{out}: {count} wheels for {arch}, {out.stat().st_size / 1e6:.0f} MB; install.sh inside")
