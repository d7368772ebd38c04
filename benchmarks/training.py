"""Training on a Ray cluster in this machine beside the plain loop: the same fits, the same candidates, one run.

The lives are made up: nothing here says how good a model is, and both ways are asked for the same answer. What Ray
needs to start is told apart, since a cluster of a plant runs already.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.features import WAVEFORM
from models.history import History
from training.cluster import LOCAL, connected
from training.config import TrainingConfig
from training.dataset import Dataset
from training.labels import degradation_target
from training.lives import Life
from training.prognosis.folds import group_machines, plan
from training.prognosis.on_ray import run_on_cluster
from training.prognosis.pipeline import Job, run_here
from training.sweep import search as sweep
from training.sweep.space import Range, candidates
from training.sweep.tuning import run_on_tune

CANDIDATES, MACHINES, WINDOWS, STEPS = 20, 6, 600, 100
EVERY_S = 60.0


def lives(machines: int = MACHINES, windows: int = WINDOWS) -> Dataset:
    """Made-up lives of different lengths, whose inputs grow in the second half."""
    random = np.random.default_rng(0)
    inputs = History(tuple(s.id for s in WAVEFORM)).inputs
    found = []
    for number in range(machines):
        n = windows + 40 * number
        share = (np.arange(n) + 1.0) / (n + 1.0)
        growth = 1.5 * np.clip((share - 0.5) / 0.5, 0.0, 1.0)
        condition = (0.2 * random.standard_normal((n, len(inputs))) + growth[:, None]).astype(np.float32)
        age = np.arange(1, n + 1) * EVERY_S
        condition[:, -1] = np.log1p(age / 3600.0)
        found.append(Life(f"M{number}", condition, age, (n - np.arange(n)) * EVERY_S, degradation_target(share, 0.5)))
    return Dataset(inputs, tuple(found), "made up", ())


def measure(
    count: int = CANDIDATES, steps: int = STEPS, say: Callable[[str], None] = lambda line: print(line, flush=True)
) -> dict[str, Any]:
    """Run the fits of one training and the candidates of one sweep, plain and on Ray."""
    dataset = lives()
    config = msgspec.structs.replace(TrainingConfig(), steps=steps)
    space = {"learning_rate": Range(1e-3, 1e-2, log=True), "dropout": Range(0.0, 0.5)}
    task = sweep.Task(sweep.hold_back(dataset)[0], candidates(space, config, count, 7), 7)
    groups = group_machines(dataset.machines, config.most_folds)
    job = Job(dataset, groups, plan(groups), config, 7)

    here_s, plain = _timed(lambda: sweep.run_here(task, say))
    fits_here_s, weights = _timed(lambda: dict(run_here(job, say)))
    begin = time.monotonic()
    with connected(LOCAL), tempfile.TemporaryDirectory() as folder:
        start_s = time.monotonic() - begin
        tune_s, tuned = _timed(lambda: run_on_tune(task, say, store=Path(folder), address=LOCAL))
        fits_ray_s, same = _timed(lambda: dict(run_on_cluster(job, say)))
    equal = all(np.array_equal(weights[left][n], same[left][n]) for left in job.fits for n in weights[left])
    return {
        "candidates": count,
        "steps": steps,
        "sweep_one_by_one_s": here_s,
        "sweep_on_ray_s": tune_s,
        "sweep_ray_over_one_by_one": tune_s / here_s,
        "sweep_same_figures": _alike(plain, tuned),
        "sweep_same_choice": sweep.choose(plain).number == sweep.choose(tuned).number,
        "candidates_ended_early": [sum(not t.finished for t in found) for found in (plain, tuned)],
        "fits": len(job.fits),
        "fits_plain_s": fits_here_s,
        "fits_on_ray_s": fits_ray_s,
        "step_ms_plain": 1000.0 * fits_here_s / len(job.fits) / steps,
        "step_ms_on_ray": 1000.0 * fits_ray_s / len(job.fits) / steps,
        "fits_same_bytes": equal,
        "ray_start_s": start_s,
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines of the table."""
    ended, same = found["candidates_ended_early"], (found["sweep_same_figures"], found["sweep_same_choice"])
    return [
        (f"{found['candidates']} candidates one by one, s", f"{found['sweep_one_by_one_s']:.1f}"),
        ("the same with Ray Tune on this machine, s", f"{found['sweep_on_ray_s']:.1f}"),
        ("Ray Tune over one by one", f"{found['sweep_ray_over_one_by_one']:.2f}"),
        ("ended early: one by one, Ray Tune", f"{ended[0]}, {ended[1]}"),
        ("the same figures where both came; the same choice", f"{same[0]}; {same[1]}"),
        (f"{found['fits']} fits of one training, plain, s", f"{found['fits_plain_s']:.1f}"),
        ("the same as Ray tasks, s", f"{found['fits_on_ray_s']:.1f}"),
        ("wall time a step (an epoch: all rows), plain, ms", f"{found['step_ms_plain']:.2f}"),
        ("the same as Ray tasks, ms", f"{found['step_ms_on_ray']:.2f}"),
        ("the same bytes", str(found["fits_same_bytes"])),
        ("Ray's start, s", f"{found['ray_start_s']:.1f}"),
    ]


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.monotonic()
    done = work()
    return time.monotonic() - begin, done


def _alike(one: list[sweep.Trial], other: list[sweep.Trial]) -> bool:
    """Whether each candidate has the same figures at every stage that it reached both ways."""
    return all(
        a == b for x, y in zip(one, other, strict=True) for a, b in zip(x.objectives, y.objectives, strict=False)
    )
