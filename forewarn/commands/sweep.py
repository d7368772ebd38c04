"""`forewarn sweep`: a search for better training settings, judged on machines that they were not chosen on."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import click

from forewarn.commands.options import DATA

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@DATA
@click.option("--machine-class", default="", help="Tune for this class; needed where there are several.")
@click.option("--trials", default=20, show_default=True, type=click.IntRange(2), help="The settings as they are, too.")
@click.option("--space", "space_file", type=_FILE, help="TOML: which settings, from where to where.  [default: ours]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Report, picture, best.toml, and what a killed sweep goes on from; for several nodes a shared folder.",
)
@click.option(
    "--ray", default="local", show_default=True, help="Where trials run: `local`, a Ray cluster's address, or `off`."
)
@click.option("--at-once", default=0, help="Trials at a time; 1 ends the same ones as `--ray off`.  [default: CPUs]")
@click.option("--seed", default=7, show_default=True, help="Of the candidates and of their fits.")
def sweep(
    data: Path, machine_class: str, trials: int, space_file: Path | None, out: Path, ray: str, at_once: int, seed: int
) -> None:
    """Try settings of training, end the worse ones early, and judge the best on machines it was not chosen on."""
    begin = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"[{time.monotonic() - begin:6.1f} s] {line}")

    from cloud.wiring import open_cloud
    from forewarn.commands.train import preparer, runner
    from forewarn.training.kinds import read_dataset
    from forewarn.training.source import read_source
    from training.config import TrainingConfig
    from training.sweep import report as sweep_report
    from training.sweep.search import Task, choose, hold_back, judge_unseen, run_here
    from training.sweep.space import candidates, load_space

    space, base = load_space(space_file), TrainingConfig()
    cloud = open_cloud(data)
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        dataset = read_dataset(read_source(cloud, machine_class), base, say, preparer(ray, stack, say))
        cloud.close()
        kept, held = hold_back(dataset)
        say(f"held back until a setting is chosen: {', '.join(held)}")
        task = Task(kept, candidates(space, base, trials, seed), seed)
        if ray == "off":
            found = run_here(task, say)
        else:
            from training.cluster import connected
            from training.sweep.tuning import run_on_tune

            stack.enter_context(connected(ray, say=say))  # one cluster for the search and for what it is judged by
            found = run_on_tune(task, say, store=out / "trials", address=ray, at_once=at_once)
        best = choose(found).number
        judged = {n: judge_unseen(dataset, task, held, n, run=runner(ray), say=say) for n in sorted({0, best})}
    result = sweep_report.Sweep(task, found, held, judged[best], judged[0])
    (out / "sweep.json").write_text(json.dumps(sweep_report.figures(result), indent=2) + "\n")
    (out / "sweep.md").write_text(sweep_report.markdown(result, "sweep.png"))
    (out / "best.toml").write_text(sweep_report.toml(result))
    sweep_report.plot(result, out / "sweep.png")
    say(f"the report: {out / 'sweep.md'}; to train with it: forewarn train --config {out / 'best.toml'}")
