"""`forewarn edge`: the agent on the device."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from forewarn import __version__
from forewarn.commands.edge_offline import flight, state

if TYPE_CHECKING:
    from edge.config import EdgeConfig
    from edge.sources import Source
    from models.errors import RecordingRejected

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_REACH_S = 2.0


def _running(command: F) -> F:
    """Add the options of a command that runs an agent."""
    for option in (
        click.option("--to", "gateways", multiple=True, metavar="HOST:PORT", help="A gateway; repeat it for more."),
        click.option("--store", type=_FOLDER, help="Folder for what is not yet delivered; made if it does not exist."),
        click.option("--enterprise", help="The company, as the cloud names it.  [default: demo]"),
        click.option("--site", help="The plant.  [default: demo]"),
        click.option("--device", help="This device's name."),
        click.option("--trust", type=_FILE, help="root.json of the cloud that signs models; without it, no models."),
        click.option("--wait-for-bundle", is_flag=True, help="Take no window before a model is there."),
        click.option("--stay", is_flag=True, help="After the last window, stay connected until SIGTERM."),
        click.option("--ledger", type=_FILE, help="Append `epoch first count kind` for everything kept."),
    ):
        command = option(command)
    return command


@click.group()
def edge() -> None:
    """The agent on the device: run, replay, record, check; what it keeps by itself: flight, state."""


edge.add_command(flight)
edge.add_command(state)


@edge.command()
@click.option("--config", "config_file", type=_FILE, required=True, help="The device's TOML file.")
@_running
def run(config_file: Path, wait_for_bundle: bool, stay: bool, ledger: Path | None, **said: Any) -> None:
    """Listen to the machines of a configuration file, judge them, warn, and deliver."""
    from edge.config import check_config, load_config
    from edge.sources import open_sources
    from models.errors import ConfigurationError

    config = _with(load_config(config_file), **said)
    check_config(config, str(config_file))
    if not config.machine:
        raise ConfigurationError("no machine", where=str(config_file), mend="add a [[machine]] table")
    sources = open_sources(config.machine)
    _run(config, sources, [], wait_for_bundle=wait_for_bundle, stay=stay, ledger=ledger)


@edge.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--only", multiple=True, metavar="NAME", help="Only this machine; repeat it for more.")
@click.option("--machine-class", default="bearing", show_default=True, help="Machines of one class share a model.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), help="1: as recorded.  [default: as fast as possible]"
)
@_running
def replay(
    paths: tuple[Path, ...],
    only: tuple[str, ...],
    machine_class: str,
    speed: float | None,
    wait_for_bundle: bool,
    stay: bool,
    ledger: Path | None,
    **said: Any,
) -> None:
    """Replay recordings as if their machines ran now; ends when everything is stored. Continues after a restart."""
    from edge.config import EdgeConfig, check_config
    from edge.sources import find, of_recording

    config = _with(EdgeConfig(device="replay"), **said)
    check_config(config, "forewarn edge replay (--to, --store, --device, --site, --enterprise)")
    good, rejected = find(paths, only=only, machine_class=machine_class)
    for reason in rejected:
        click.echo(f"forewarn: {reason}", err=True)
    sources = [of_recording(r, speed) for r in good]
    _run(config, sources, rejected, wait_for_bundle=wait_for_bundle, stay=stay, ledger=ledger)


@edge.command()
@click.option("--config", "config_file", type=_FILE, required=True, help="The device's TOML file.")
@click.option("--out", type=_FOLDER, required=True, help="Folder for one file a machine; made if it does not exist.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), required=True, help="How long to listen.")
def record(config_file: Path, out: Path, seconds: float) -> None:
    """Save the raw windows of a configuration's machines as Parquet that `replay` reads; nothing is judged or sent."""
    from edge.config import load_config
    from edge.sensors.record import record_all
    from edge.sources import open_sources

    config = load_config(config_file)
    _make(out)
    results = record_all(open_sources(config.machine), out, seconds)
    for result in results:
        click.echo(f"{result.file}: {result.windows} windows")
    if not results or any(not r.windows for r in results):
        click.echo("forewarn: a machine gave no window (listen longer, or ask `forewarn doctor`)", err=True)
        sys.exit(1)


@edge.command()
@click.option("--config", "config_file", type=_FILE, required=True, help="The device's TOML file.")
def check(config_file: Path) -> None:
    """Try everything that a device needs, without listening: file, machines, store, trust, gateways."""
    from edge.announce import read_secret
    from edge.config import certificates_of, check_config, load_config
    from edge.outbox import StoreLock
    from edge.sources import open_sources

    config = load_config(config_file)
    check_config(config, str(config_file))
    click.echo(f"ok      {config_file}")
    for source in open_sources(config.machine):
        machine = source.sensor.machine
        click.echo(f"ok      machine {machine.name}: {', '.join(c.name for c in machine.channels)}")
    with StoreLock(Path(config.store)):
        click.echo(f"ok      store {config.store}")
    if config.announce.relay:
        found = shutil.which(config.announce.relay[0])
        click.echo(f"ok      relay {found}" if found else f"warning relay {config.announce.relay[0]}: no such program")
    if config.announce.webhook_secret:
        read_secret(config.announce.webhook_secret)
        click.echo(f"ok      webhook secret {config.announce.webhook_secret}")
    if not config.trust or not Path(config.trust).is_file():
        click.echo("warning no trust root: this device takes no models")
    if files := certificates_of(config):
        files.read()
        said = config.cloud.certificate or "none of its own: the gateways must not ask for one"
        click.echo(f"ok      cloud ca {config.cloud.ca}")
        click.echo(f"ok      cloud certificate {said}")
    for address in config.gateways:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _REACH_S).close()
        except OSError as e:
            click.echo(f"warning gateway {address}: {e}; records are kept until it answers")
        else:
            click.echo(f"ok      gateway {address}")


def _with(config: EdgeConfig, *, gateways: tuple[str, ...], **said: Any) -> EdgeConfig:
    """The configuration with the command line's words in place of the file's; a store that is named here is made."""
    import msgspec

    changes = {key: str(value) for key, value in said.items() if value is not None}
    if gateways:
        changes["gateways"] = gateways  # type: ignore[assignment]
    if "store" in changes:
        _make(Path(changes["store"]))
    return msgspec.structs.replace(config, **changes)


def _make(folder: Path) -> None:
    from models.errors import WrongUse

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise WrongUse(f"cannot make the store: {e.strerror}", where=str(folder), mend="name another folder") from e


def _run(
    config: EdgeConfig,
    sources: Sequence[Source],
    rejected: Sequence[RecordingRejected],
    *,
    wait_for_bundle: bool,
    stay: bool,
    ledger: Path | None,
) -> None:
    """Run the agent to its end; exit code 2 if a recording was rejected, after the good ones were replayed."""
    from edge.agent import RunOptions, run_agent

    options = RunOptions(software_version=__version__, ledger=ledger, wait_for_bundle=wait_for_bundle, stay=stay)
    if sources:
        late = run_agent(config, sources, options)
        for reason in late:
            click.echo(f"forewarn: {reason}", err=True)
        rejected = [*rejected, *late]
    if rejected:
        sys.exit(2)
