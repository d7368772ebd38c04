"""`forewarn evaluate` and `forewarn score`: public benchmarks, honest by construction."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from forewarn.commands.options import JSON
from forewarn.evaluation.benchmark import NAMES, Line, load
from forewarn.evaluation.overlap import shared
from models.errors import RecordingRejected, WrongUse

BENCHMARKS = click.Choice(NAMES)
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
_FILE = click.Path(path_type=Path, dir_okay=False)
_EVERY_S = 5.0


@click.command()
@click.argument("name", type=BENCHMARKS)
@click.option("--train", "train_on", type=_FOLDER, required=True, help="Recordings that the model learns from.")
@click.option("--test", "test_on", type=_FOLDER, required=True, help="Recordings that it says something about.")
@click.option("--out", type=_FILE, required=True, help="One JSON object a line.")
@click.option("--seed", default=7, show_default=True)
def evaluate(name: str, train_on: Path, test_on: Path, out: Path, seed: int) -> None:
    """Train on some machines and write down what the agent says about others, window by window."""
    if leaking := shared(train_on, test_on):
        _say(f"{', '.join(leaking)}: also among the recordings it learns from; figures on them say nothing of others")
    lines = load(name).evaluate(train_on, test_on, seed=seed, say=_say)
    with _whole(out) as file:
        for line in _counted(lines):
            file.write(json.dumps(line) + "\n")


@contextmanager
def _whole(out: Path) -> Iterator[TextIO]:
    """A file to write that is there as a whole in the end, or not at all."""
    part = out.with_name(out.name + ".part")
    try:
        file = part.open("w")
    except OSError as e:
        raise WrongUse(f"cannot be written: {e.strerror}", where=str(out), mend="name another file") from e
    try:
        with file:
            yield file
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _counted(lines: Iterable[Line]) -> Iterator[Line]:
    """Pass the lines on and say now and then how many there were; RecordingRejected when there was none."""
    count, due = 0, time.monotonic() + _EVERY_S
    for count, line in enumerate(lines, 1):
        if time.monotonic() >= due:
            _say(f"so far: {count} lines")
            due = time.monotonic() + _EVERY_S
        yield line
    if not count:
        raise RecordingRejected("there is nothing to be said about any recording", mend="see what was said above")
    _say(f"in all: {count} lines")


@click.command()
@click.argument("name", type=BENCHMARKS)
@click.option("--test", "test_on", type=_FOLDER, required=True, help="The recordings, whole: their ends are the truth.")
@click.argument("file", type=_FILE)
@JSON
def score(name: str, test_on: Path, file: Path, as_json: bool) -> None:
    """Score a file of `forewarn evaluate`, beside its floors."""
    benchmark = load(name)
    result = benchmark.score(test_on, file)
    click.echo(json.dumps(result, indent=2) if as_json else "\n".join(benchmark.describe(result)))
