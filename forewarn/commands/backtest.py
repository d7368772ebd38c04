"""`forewarn backtest`: what a rule or a model would have said over a span of the lake, and what that is worth."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forewarn.commands.options import DATA, JSON

if TYPE_CHECKING:
    from cloud.wiring import Cloud
    from edge.inference import LoadedBundle

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@DATA
@click.option("--from", "since", help="First event time: ISO 8601, or ns since 1970.  [default: the lake's first]")
@click.option("--to", "until", help="Event time before which the span ends.  [default: the lake's last]")
@click.option(
    "--bundle", help="The model: a file, or the name of a published one.  [default: the class's champion, or none]"
)
@click.option("--machine-class", default="", help="Needed where there are several and no --bundle.")
@click.option("--costs", "costs_file", type=_FILE, help="What things cost; docs/costs.toml holds the defaults.")
@click.option("--plot", type=_FILE, help="Write a picture of lives, alarms and costs here.")
@JSON
def backtest(
    data: Path,
    since: str | None,
    until: str | None,
    bundle: str | None,
    machine_class: str,
    costs_file: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Replay stored features through the device's own detection: alarms, lead times, false alarms, costs."""
    from cloud.wiring import open_cloud
    from forewarn.backtest.costs import load_costs
    from forewarn.backtest.run import backtest as run
    from forewarn.backtest.run import figures
    from forewarn.backtest.table import lines

    costs = load_costs(costs_file)
    since_ns, until_ns = (_time(name, text) for name, text in (("--from", since), ("--to", until)))
    cloud = open_cloud(data)
    model = _opened(cloud, bundle) if bundle else None
    machine_class = machine_class or (model.manifest.machine_class if model else _class(cloud))
    model = model or _champion(cloud, machine_class)
    result = run(
        cloud,
        machine_class,
        model,
        costs,
        since_ns=since_ns,
        until_ns=until_ns,
        say=lambda line: click.echo(line, err=True),
    )
    cloud.close()
    click.echo(json.dumps(figures(result), indent=2) if as_json else "\n".join(lines(result)))
    if plot is not None:
        from forewarn.backtest.plot import plot as draw

        draw(result, plot)
        click.echo(f"the picture: {plot}", err=True)


def _time(name: str, text: str | None) -> int | None:
    from forewarn.labels import time_ns
    from models.errors import WrongUse

    try:
        return None if text is None else time_ns(text)
    except ValueError as e:
        raise WrongUse(str(e), where=name) from e


def _class(cloud: Cloud) -> str:
    from cloud.catalogue import maintenance
    from cloud.catalogue.access import reading
    from forewarn.classes import only_class

    with reading(cloud.engine) as c:
        return only_class(maintenance.machines(c, cloud.enterprise))


def _champion(cloud: Cloud, machine_class: str) -> LoadedBundle | None:
    """The model that the class's machines run, or None."""
    found = [b for b in cloud.registry.list() if b.machine_class == machine_class and b.state == "champion"]
    return _opened(cloud, found[0].name) if found else None


def _opened(cloud: Cloud, bundle: str) -> LoadedBundle:
    from edge.inference import LoadedBundle

    if Path(bundle).is_file():
        return LoadedBundle.open(Path(bundle))
    return LoadedBundle.read(cloud.registry.read(bundle))
