"""`forewarn alert`: what the pages do with alerts, for scripts and terminals."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from forewarn.commands.options import DATA, JSON

if TYPE_CHECKING:
    from cloud.alerts.book import AlertBook
    from cloud.alerts.types import Alert

F = TypeVar("F", bound=Callable[..., Any])
OUTCOMES = ("confirmed", "not_a_fault", "process_change", "sensor_fault", "part_replaced")
_MOST = 1000


def _tapped_by(command: F) -> F:
    """Add the options of a change that a person makes."""
    for option in (
        click.option("--note", default="", help="What else should be known."),
        click.option("--who", default=getpass.getuser, show_default="the user of this terminal", help="Who says so."),
        JSON,
        DATA,
        click.argument("number", type=int),
    ):
        command = option(command)
    return command


@click.group()
def alert() -> None:
    """Alerts: list, acknowledge, resolve."""


@alert.command("list")
@DATA
@JSON
@click.option("--all", "everything", is_flag=True, help="Resolved ones, too.")
@click.option("--machine", help="Only this machine.")
@click.option("--limit", type=click.IntRange(1, _MOST), default=100, show_default=True, help="At most so many.")
def list_(data: Path, as_json: bool, everything: bool, machine: str | None, limit: int) -> None:
    """List the open alerts, the newest first."""
    from cloud.alerts.book import OPEN

    with _book(data) as book:
        found = book.list(states=None if everything else OPEN, machine=machine, limit=limit)
    if as_json:
        click.echo(json.dumps([as_dict(a) for a in found]))
        return
    for a in found:
        click.echo(line(a))
    if not found:
        click.echo("no alert so far" if everything else "no open alert")


@alert.command()
@_tapped_by
def ack(number: int, data: Path, as_json: bool, who: str, note: str) -> None:
    """Say that you have seen alert NUMBER; the device is told."""
    with _book(data) as book:
        _say(book.acknowledge(number, who, note=note), as_json)


@alert.command()
@_tapped_by
@click.option("--outcome", required=True, type=click.Choice(OUTCOMES), help="What you found: the next model learns it.")
def resolve(number: int, data: Path, as_json: bool, who: str, note: str, outcome: str) -> None:
    """Close alert NUMBER with what you found; saying it again corrects it."""
    from cloud.alerts.types import Outcome

    with _book(data) as book:
        _say(book.resolve(number, who, Outcome(outcome), note=note), as_json)


@alert.command()
@JSON
@DATA
@click.option("--who", default=getpass.getuser, show_default="the user of this terminal", help="Who asks.")
@click.argument("number", type=int)
def raw(number: int, data: Path, as_json: bool, who: str) -> None:
    """Have the device send its raw data around alert NUMBER; the alert's page shows when it has come."""
    with _book(data) as book:
        _say(book.ask_raw(number, who), as_json)


def as_dict(a: Alert) -> dict[str, Any]:
    """Return an alert as `--json` prints it."""
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(a)
    return found


def line(a: Alert) -> str:
    """Return an alert as one line for a person."""
    from cloud.web.words import languages

    words = languages()["en"]
    since = datetime.fromtimestamp(a.raised_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
    life = a.said.remaining_life_s
    how_long = f", {words('alert.how_long', interval=words.interval(life[0], life[2]))}" if life else ""
    says = {"simulated": a.said.simulated, "replay": a.said.replay, "clock in doubt": a.said.clock_in_doubt}
    marks = [mark for mark, holds in says.items() if holds]
    state = f"{a.state}: {a.outcome}" if a.outcome else str(a.state)
    what = words.either(f"fault.{a.said.finding}.short", a.said.fault)
    zone = f"{a.severity} {words(f'zone.{a.severity}')}"
    return f"#{a.id:<5} {zone:<12} {a.machine:<16} {what}{how_long}  [{', '.join([state, *marks])}]  {since}"


@contextmanager
def _book(data: Path) -> Iterator[AlertBook]:
    from cloud.wiring import open_cloud

    cloud = open_cloud(data)
    try:
        yield cloud.alerts
    finally:
        cloud.close()


def _say(a: Alert, as_json: bool) -> None:
    click.echo(json.dumps(as_dict(a)) if as_json else line(a))
