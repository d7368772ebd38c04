"""A whole training run: fits, honest evaluation, adjustment, limits, ONNX. The caller says where the fits run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.history import FloatArray
from models.manifest import PROGNOSIS, TREND, Thresholds, output_shapes
from training.config import TrainingConfig
from training.dataset import Dataset
from training.export import export
from training.footprint import size
from training.model import Answered, Model, Say, lineage
from training.prognosis import evaluate
from training.prognosis.calibrate import Adjustment, adjust, choose_adjustment, promise
from training.prognosis.fit import Weights, fit, load
from training.prognosis.folds import Groups, Left, answers_of, group_machines, left_out, lives_without, of_healthy, plan
from training.prognosis.leak import network_alone

OUTPUTS = (*PROGNOSIS, TREND)


@dataclass(frozen=True, slots=True)
class Job:
    """Fits that do not depend on each other: each leaves out some groups; the seed is the same for all."""

    dataset: Dataset
    groups: Groups
    fits: Sequence[Left]
    config: TrainingConfig
    seed: int

    def run(self, left: Left) -> Weights:
        """Run one of the fits."""
        return fit(lives_without(self.dataset, self.groups, left), self.config, self.seed)

    def only(self, fits: Sequence[Left]) -> Job:
        """The same job with some of its fits."""
        return replace(self, fits=fits)

    def describe(self, left: Left) -> str:
        """Return one of the fits in words."""
        names = ", ".join(m for i in sorted(left) for m in self.groups[i])
        return f"without {names}" if left else "all machines"


Runner = Callable[[Job, Say], Iterator[tuple[Left, Weights]]]  # runs a job's fits anywhere, and gives each as it ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(Model):
    """A model of degradation and remaining life; `evaluation`: see `evaluate.summarise`."""

    judged: tuple[evaluate.Judged, ...]


def train(dataset: Dataset, config: TrainingConfig, *, seed: int, run: Runner, say: Say) -> Trained:
    """Train on `dataset`; the same dataset, configuration and seed give the same ONNX bytes, whatever `run` is."""
    groups = group_machines(dataset.machines, config.most_folds)
    fits = plan(groups)
    windows = sum(len(life.age_s) for life in dataset.lives)
    say(f"{windows} windows of {len(dataset.machines)} failed machines; {len(fits)} fits, leaving machines out in turn")
    weights = dict(run(Job(dataset, groups, fits, config, seed), say))
    judged = evaluate.judge(dataset, groups, weights, config)
    unseen, healthy = left_out(answers_of(dataset, groups, weights), groups), of_healthy(dataset, groups, weights)
    adjustment = choose_adjustment(unseen, config)
    limits = evaluate.choose_model_limits([*unseen, *healthy], config)
    final = adjust(weights[frozenset()], adjustment)
    probe = _probe(dataset)
    data, off = export(load(final), probe, output_shapes(OUTPUTS))
    return Trained(
        onnx=data,
        features=config.features,
        view=config.view,
        inputs=dataset.inputs,
        outputs=OUTPUTS,
        thresholds=Thresholds(
            warn=limits.warn,
            act=limits.act,
            deadband=config.deadband,
            on_delay_windows=config.on_delay_windows,
            off_delay_windows=config.off_delay_windows,
        ),
        coverage=promise(len(dataset.machines)),
        evaluation={
            **evaluate.summarise(judged, config),
            **(evaluate.judge_healthy(unseen, healthy, dataset.inputs, config) if healthy else {}),
            **_adjusted(adjustment),
            **network_alone(dataset, groups, weights, config, seed),
            "graph": size(data),
        },
        judged=tuple(judged),
        answers=tuple(Answered(j.life.machine, j.truth, j.said["ours"]) for j in judged),
        parity_max_abs=off,
        lineage=lineage(dataset.digest, dataset.machines, config, seed),
        probe=probe,
    )


def run_here(job: Job, say: Say) -> Iterator[tuple[Left, Weights]]:
    """Run the fits one after another in this process."""
    for number, left in enumerate(job.fits, 1):
        yield left, job.run(left)
        say(f"fit {number} of {len(job.fits)}: {job.describe(left)}")


def _probe(dataset: Dataset) -> FloatArray:
    """Eight windows of each of the first lives, from the first to the last, at most 64 in all."""
    lives = dataset.lives[:8]
    return np.concatenate([x.condition[np.linspace(0, len(x.condition) - 1, 8).round().astype(int)] for x in lives])


def _adjusted(adjustment: Adjustment) -> dict[str, Any]:
    return {"widening_log": round(adjustment.widening, 6)}
