"""`forewarn edge flight` and `forewarn edge state`: what a device keeps by itself, taken from its store."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_STORE = click.option("--store", type=_FOLDER, required=True, help="The device's store.")


@click.group()
def flight() -> None:
    """The flight recorder's raw windows: list, export. Also while the agent runs."""


@flight.command("list")
@_STORE
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_(store: Path, as_json: bool) -> None:
    """What is kept: the ring, and what was frozen around alarms."""
    import msgspec

    from edge.recorder import overview

    kept = overview(store)
    if as_json:
        click.echo(msgspec.json.encode(kept, enc_hook=str))
        return
    for k in kept:
        what = f"frozen: {k.reason}" if k.frozen else "ring"
        torn = " (its end is torn or being written)" if k.torn else ""
        size = f"{k.size_bytes / 1e6:8.2f} MB"
        click.echo(
            f"{k.machine:20} {_time(k.first_ns)} to {_time(k.last_ns)} {k.windows:6} windows {size}  {what}{torn}"
        )


@flight.command()
@_STORE
@click.option("--out", type=_FOLDER, required=True, help="Folder for one file a machine; made if it does not exist.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this machine; repeat it for more.")
@click.option("--frozen", is_flag=True, help="Only what was frozen around alarms.")
def export(store: Path, out: Path, only: tuple[str, ...], frozen: bool) -> None:
    """Write what is kept as files that `forewarn edge replay` reads, each window once."""
    from edge.recorder import export as write

    for done in write(store, out, only=only, frozen_only=frozen):
        click.echo(f"{done.file}: {done.windows} windows")
        if done.left_out:
            click.echo(f"{done.machine}: {done.left_out} windows left out, its channels were others then", err=True)


@click.group()
def state() -> None:
    """What a device has learned: export, import. So that a device that replaces it continues."""


@state.command("export")
@_STORE
@click.option("--out", type=_FILE, required=True, help="The file to write.")
def export_(store: Path, out: Path) -> None:
    """Write baselines, alarms and trends into one file; the agent must be stopped."""
    from edge import wire
    from edge.carry.copy import export_state
    from edge.outbox import Outbox, StoreLock
    from models.errors import WrongUse

    with StoreLock(store):
        if not (store / "outbox.sqlite").exists():
            raise WrongUse("holds no outbox", where=str(store), mend="name the store of a device that has run")
        outbox = Outbox(store / "outbox.sqlite", gap=wire.gap_parcel)
        try:
            machines = export_state(outbox, out)
        finally:
            outbox.close()
    click.echo(f"{out}: {', '.join(machines)}")


@state.command("import")
@click.argument("file", type=_FILE)
@_STORE
@click.option("--replace", is_flag=True, help="Also where this store has learned the machine already.")
def import_(file: Path, store: Path, replace: bool) -> None:
    """Take over what `state export`, or the cloud's `forewarn device state`, wrote; the agent must be stopped."""
    from edge import wire
    from edge.carry.copy import import_state, read_state
    from edge.outbox import Outbox, StoreLock

    copies = read_state(file)
    store.mkdir(parents=True, exist_ok=True)
    with StoreLock(store):
        outbox = Outbox(store / "outbox.sqlite", gap=wire.gap_parcel)
        try:
            import_state(outbox, copies, replace=replace)
        finally:
            outbox.close()
    click.echo(f"{store}: {', '.join(copy.machine for copy in copies)}")


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns * 1e-9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
