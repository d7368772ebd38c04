"""`forewarn train`: what the fleet saw and the crews found becomes a signed candidate."""

# ruff: noqa: PLC0415 - `--help` is quick
from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forewarn.commands.options import DATA
from models.errors import WrongUse

if TYPE_CHECKING:
    from forewarn.training.make import Product
    from training.dataset import Each
    from training.lives import MachineRows, Prepared
    from training.model import Model, Say
    from training.prognosis.pipeline import Runner, Trained

_FILE = click.Path(path_type=Path, dir_okay=False)
_MANY_ROWS = 200_000  # that are worth being sent to a cluster: below, one process is done in seconds
KINDS = ("prognosis", "fleet", "anomaly", "faults")  # as in forewarn/training/kinds.py, which takes seconds to import
_DRAWN = ("prognosis", "fleet")  # what tells a time


@click.command()
@DATA
@click.option("--machine-class", default="", help="Train for this class; needed where there are several.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="prognosis",
    show_default=True,
    help="prognosis: remaining life from vibration, three failures or more; fleet: from slow channels, ten or more; "
    "anomaly: what is unusual in slow channels, nothing has to have failed; faults: which part of a bearing is "
    "damaged, from labelled recordings.",
)
@click.option(
    "--ray",
    default="local",
    show_default=True,
    help="Where a prognosis' fits run: `local`, a Ray cluster's address, or `off`.",
)
@click.option("--config", "settings", type=_FILE, help="Settings, such as `forewarn sweep` finds.  [default: ours]")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="For faults: recordings of bearings whose damage was found.",
)
@click.option("--labels", type=_FILE, help="For faults: CSV with the columns recording, bearing, fault.")
@click.option("--seed", default=7, show_default=True, help="The same data and seed give the same model.")
@click.option("--out", type=_FILE, help="Write the bundle to this file.")
@click.option("--publish", is_flag=True, help="Sign the bundle and put it into the registry, as a candidate.")
@click.option("--json", "report", type=_FILE, help="Write the figures here.")
@click.option("--plot", type=_FILE, help="Write predicted against true life here.")
def train(
    data: Path,
    machine_class: str,
    kind: str,
    ray: str,
    settings: Path | None,
    recordings: Path | None,
    labels: Path | None,
    seed: int,
    out: Path | None,
    publish: bool,
    report: Path | None,
    plot: Path | None,
) -> None:
    """Train a failure model, judge it on machines it did not see, and pack it."""
    begin = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"[{time.monotonic() - begin:6.1f} s] {line}")

    from cloud.wiring import open_cloud
    from forewarn.training.kinds import Wanted
    from forewarn.training.make import make_bundle
    from training.prognosis.kept import keeping
    from training.prognosis.pipeline import Trained

    if plot is not None and kind not in _DRAWN:
        raise WrongUse(f"there is no picture of the kind {kind}", mend="leave --plot out")
    cloud = open_cloud(data)
    with ExitStack() as stack:  # one cluster for all parts of the run
        wanted = Wanted(
            settings=settings,
            seed=seed,
            run=keeping(runner(ray), cloud.data / "training"),
            each=preparer(ray, stack, say),
            say=say,
            recordings=recordings,
            labels=labels,
        )
        product = make_bundle(cloud, machine_class, kind, wanted)
    model = product.learned.model
    if isinstance(model, Trained):
        _say_prognosis(model, say)
    else:
        _say_figures(model, say)
    say(f"torch and ONNX Runtime differ by at most {model.parity_max_abs:.1e}")
    say(f"bundle {product.name}, {len(product.bundle)} bytes")
    if out is not None:
        out.write_bytes(product.bundle)
        say(f"the bundle: {out}")
    if plot is not None:
        from training.plot import plot_rul

        plot_rul(model.answers, plot)
        say(f"the picture: {plot}")
    if publish:
        cloud.registry.initialise()
        cloud.registry.publish(product.bundle)
        say(f"published as a candidate: {product.name}")
    if report is not None:
        report.write_text(json.dumps(_report(product, ray, time.monotonic() - begin), indent=2) + "\n")


def runner(ray: str) -> Runner:
    """Return what runs fits: this process for `off`, or a Ray cluster."""
    if ray == "off":
        from training.prognosis.pipeline import run_here

        return run_here
    from training.prognosis.on_ray import on_cluster

    return on_cluster(ray)


def preparer(ray: str, stack: ExitStack, say: Say) -> Each:
    """Return what prepares machines: this process for `off` or for few rows, or a cluster, connected for `stack`."""

    def prepare(function: Callable[[MachineRows], Prepared], machines: Sequence[MachineRows]) -> Iterable[Prepared]:
        if ray == "off" or sum(len(m.times_ns) for m in machines) < _MANY_ROWS:
            return map(function, machines)
        from training.cluster import connected
        from training.prognosis.on_ray import prepare_on_cluster

        stack.enter_context(connected(ray, say=say))
        return prepare_on_cluster(function, machines)

    return prepare


def _say_figures(model: Model, say: Any) -> None:
    """Every measure, ours beside its floors."""
    from training.card_parts import measures

    for name, cells in measures(model.evaluation).items():
        floors = ", ".join(f"{who.replace('_', ' ')} {value}" for who, value in cells.items() if who != "ours")
        say(f"{name.replace('_', ' ')}: {cells['ours']}; {floors}")
    if "rul_nulls" in model.evaluation:
        say(f"no date, since no trend shows: {model.evaluation['rul_nulls']:.0%} of the cuts")
    say(f"judged: {model.evaluation['protocol']}")


def _say_prognosis(trained: Trained, say: Any) -> None:
    e, t = trained.evaluation, trained.thresholds
    for key, label in (("rul_mae_s", "MAE"), ("rul_winkler_s", "interval score")):
        figures = e[key]
        say(
            f"remaining life, {label}: {figures['ours']:.0f} s; best constant {figures['constant']:.0f} s, "
            f"k x age {figures['k_x_age']:.0f} s"
        )
    say(f"coverage of p05..p95 on machines it did not see: {e['rul_coverage']['ours']:.0%}; {trained.coverage}")
    if "alarms_on_healthy" in e:
        found, of = e["alarms_on_healthy"], e["healthy_stretches"]
        say(f"alarms where crews found nothing: {found['ours']} in {of} stretches; RMS rule {found['rms_rule']}")
    kinds = ("in_time", "early", "late", "missed")
    for who, name in (("ours", "model"), ("rms_rule", "RMS rule")):
        counts = ", ".join(f"{e[f'alarms_{k}'][who]} {k.replace('_', ' ')}" for k in kinds)
        say(f"first alarms by the {name}: {counts}")
    say(f"alarm limits: warn {t.warn:.2f}, act {t.act:.2f}")


def _report(product: Product, ray: str, seconds: float) -> dict[str, Any]:
    import hashlib

    model = product.learned.model
    return {
        "bundle": product.name,
        "sha256": hashlib.sha256(product.bundle).hexdigest(),
        "onnx_sha256": hashlib.sha256(model.onnx).hexdigest(),
        "machines": list(model.lineage.machines),
        "left_out": list(product.learned.left_out),
        "evaluation": model.evaluation,
        "coverage": model.coverage,
        "parity_max_abs": model.parity_max_abs,
        "ray": ray,
        "seconds": round(seconds, 1),
    }
