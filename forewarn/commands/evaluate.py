"""`forewarn evaluate` and `forewarn score`: public benchmarks, honest by construction."""

from __future__ import annotations

import json
from pathlib import Path

import click

from forewarn.commands.options import JSON
from forewarn.evaluation.benchmark import NAMES, load

BENCHMARKS = click.Choice(NAMES)
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("name", type=BENCHMARKS)
@click.option("--train", "train_on", type=_FOLDER, required=True, help="Recordings that the model learns from.")
@click.option("--test", "test_on", type=_FOLDER, required=True, help="Recordings that it says something about.")
@click.option("--out", type=_FILE, required=True, help="One JSON object a line.")
@click.option("--seed", default=7, show_default=True)
def evaluate(name: str, train_on: Path, test_on: Path, out: Path, seed: int) -> None:
    """Train on some machines and write down what the agent says about others, window by window."""
    lines = load(name).evaluate(train_on, test_on, seed=seed, say=lambda text: click.echo(text, err=True))
    with out.open("w") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")


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
