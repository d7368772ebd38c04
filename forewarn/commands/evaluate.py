"""`forewarn evaluate` and `forewarn score`: public benchmarks, honest by construction."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
from pathlib import Path

import click

from forewarn.commands.options import JSON

BENCHMARKS = click.Choice(["pronostia"])
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
    from forewarn.evaluation.pronostia import evaluate as run

    with out.open("w") as file:
        for line in run(train_on, test_on, seed=seed, say=lambda text: click.echo(text, err=True)):
            file.write(json.dumps(line) + "\n")


@click.command()
@click.argument("name", type=BENCHMARKS)
@click.option("--test", "test_on", type=_FOLDER, required=True, help="The recordings, whole: their ends are the truth.")
@click.argument("file", type=_FILE)
@JSON
def score(name: str, test_on: Path, file: Path, as_json: bool) -> None:
    """Score a file of `forewarn evaluate`, beside the floor."""
    from forewarn.evaluation.score import score as run

    result = run(test_on, file)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    everything = result["all"]
    click.echo(f"{'':<12}{'MAE s':>10}{'interval s':>12}{'coverage':>10}{'PHM 2012':>10}")
    for who in ("ours", "floor"):
        f = everything[who]
        click.echo(f"{who:<12}{f['mae_s']:>10.0f}{f['winkler_s']:>12.0f}{f['coverage']:>10.2f}{f['phm_2012']:>10.3f}")
    alarms = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in everything["alarms"].items())
    click.echo(f"first alarms of {everything['bearings']} bearings: {alarms}")
    click.echo(f"no estimate at {everything['nulls']:.0%} of the cuts; the floor is 0.3 x age, from 0.1 to 1.0")
