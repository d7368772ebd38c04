"""A search for better settings that does not fool itself, apart from where it runs.

* A third of the machines is held back; nothing about them is looked at until one setting is chosen.
* Each candidate is judged on the other machines by the product's own evaluation, leaving one machine out, in stages:
  half of the machines, all of them, then with alarm limits chosen without each machine too. After a stage a candidate
  that is worse than half of those that came so far ends (asynchronous successive halving, Li et al. 2020).
* Judged is what a fit's settings have a part in: degradation and the alarms that follow from it. The remaining life
  rests on eight numbers that no setting moves. Degradation counts in units of what a constant would have; alarms by the
  share of machines that were not warned in time.
* Candidate 0 is the settings as they are; all is measured beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from models.errors import DataInsufficient
from training.config import TrainingConfig
from training.dataset import Dataset
from training.model import Say
from training.prognosis.evaluate import (
    constant_error,
    degradation_error,
    judge,
    judge_lives,
    mean_over_machines,
    summarise,
)
from training.prognosis.fit import Weights, answer
from training.prognosis.folds import Answers, Groups, Left, answers_of, group_machines, left_out, of_healthy, plan
from training.prognosis.pipeline import Job, Runner

STAGES = 3
KEPT = 2  # one in so many candidates goes on after a stage
_HELD_BACK = 3  # one in so many machines
_FEWEST = 4  # machines: three to choose on, one to judge on


@dataclass(frozen=True, slots=True)
class Task:
    """What all candidates share."""

    dataset: Dataset  # of the machines that settings are chosen on
    candidates: Sequence[TrainingConfig]
    seed: int

    @property
    def groups(self) -> Groups:
        """The machines as they are left out."""
        return group_machines(self.dataset.machines, self.candidates[0].most_folds)

    @property
    def digest(self) -> str:
        """sha256 over all that the result follows from."""
        whole = (self.dataset.digest, self.dataset.machines, self.candidates, self.seed)
        return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()

    def run(self, number: int, left: Left) -> Weights:
        """Run one of the fits of a candidate."""
        return Job(self.dataset, self.groups, (), self.candidates[number], self.seed).run(left)


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate, as far as it came; `objectives` by stage, below 1 is better than a constant."""

    number: int
    objectives: tuple[float, ...]

    @property
    def finished(self) -> bool:
        """Whether it was judged as the product judges."""
        return len(self.objectives) == STAGES


def hold_back(dataset: Dataset) -> tuple[Dataset, tuple[str, ...]]:
    """Return what settings are chosen on, and the machines that are held back; `DataInsufficient` with too few."""
    if len(dataset.machines) < _FEWEST:
        raise DataInsufficient(
            f"{len(dataset.machines)} machines have failed, a sweep needs {_FEWEST}: with fewer there is none to judge "
            "its choice on"
        )
    held = group_machines(dataset.machines, _HELD_BACK)[-1]
    kept = [m for m in dataset.machines if m not in held]
    healthy = tuple(life for life in dataset.healthy if life.machine not in held)
    return Dataset(dataset.inputs, dataset.of(kept), dataset.digest, dataset.left_out, healthy), held


def stage_fits(groups: Groups, stage: int) -> list[Left]:
    """The fits that a stage (from 1) needs beside those of the stages before it."""
    fits = plan(groups)
    singles, pairs = [f for f in fits if len(f) == 1], [f for f in fits if len(f) == 2]
    half = (len(singles) + 1) // 2
    return [singles[:half], singles[half:], pairs][stage - 1]


def run_stages(task: Task, number: int, done: dict[Left, Weights]) -> Iterator[float]:
    """Fit and judge one candidate, stage by stage; `done` holds what was fitted before, and takes what is fitted."""
    for stage in range(1, STAGES + 1):
        for left in stage_fits(task.groups, stage):
            if left not in done:
                done[left] = task.run(number, left)
        yield _objective(task, task.candidates[number], done, whole=stage == STAGES)


def _objective(task: Task, config: TrainingConfig, done: Mapping[Left, Weights], *, whole: bool) -> float:
    """Error of degradation over the constant's; as a `whole` the mean of it and of the share not warned in time.

    A degradation that is always the same, and so never warns, has 1 in both.
    """
    if whole:
        judged = judge(task.dataset, task.groups, done, config)
        figures = summarise(judged, config)
        late = 1.0 - figures["alarms_in_time"]["ours"] / len(judged)
        return float(np.mean([_in_constants(figures["degradation_mse"]), late]))
    answers = answers_of(task.dataset, task.groups, done)
    seen = [a for (_, left), items in answers.items() if len(left) == 1 for a in items]
    ours = mean_over_machines((a.life.machine, degradation_error(a.life, a.degradation)) for a in seen)
    return _in_constants({"ours": ours, "constant": constant_error(task.dataset, [a.life for a in seen])})


def _in_constants(errors: Mapping[str, float]) -> float:
    return errors["ours"] / max(errors["constant"], 1e-12)


def run_here(task: Task, say: Say) -> list[Trial]:
    """Run all candidates one by one in this process, ending those that `ends` ends."""
    rungs: list[list[float]] = [[] for _ in range(STAGES)]
    trials = []
    for number in range(len(task.candidates)):
        objectives: list[float] = []
        for stage, objective in enumerate(run_stages(task, number, {})):
            objectives.append(objective)
            say(progress(number, len(task.candidates), objectives))
            if stage < STAGES - 1 and ends(objective, rungs[stage]):
                break
            rungs[stage].append(objective)
        trials.append(Trial(number, tuple(objectives)))
    return trials


def ends(objective: float, before: Sequence[float]) -> bool:
    """Whether a candidate ends at a stage that others reached before it, as Ray Tune's ASHA decides it."""
    return bool(before) and objective > float(np.percentile(before, 100.0 / KEPT))


def progress(number: int, count: int, objectives: Sequence[float]) -> str:
    """One line about one candidate."""
    return f"candidate {number} of {count - 1}, stage {len(objectives)} of {STAGES}: {objectives[-1]:.3f} x a constant"


def choose(trials: Sequence[Trial]) -> Trial:
    """The best of those that were judged to the end; an even result goes to the earlier one."""
    return min((t for t in trials if t.finished), key=lambda t: (t.objectives[-1], t.number))


def judge_unseen(
    dataset: Dataset, task: Task, held: Sequence[str], number: int, *, run: Runner, say: Say
) -> dict[str, Any]:
    """Judge a candidate on the machines that were held back, beside the floors: `prognosis.evaluate.summarise`.

    Its model, its limits and the floors are made of the other machines alone.
    """
    config, groups = task.candidates[number], task.groups
    fits = [left for left in plan(groups) if len(left) < 2]
    weights = dict(run(Job(task.dataset, groups, fits, config, task.seed), say))
    chosen_from = left_out(answers_of(task.dataset, groups, weights), groups)
    healthy = of_healthy(task.dataset, groups, weights)
    final = weights[frozenset()]
    answers = [Answers(life, *answer(final, life.condition)) for life in dataset.of(held)]
    return summarise(judge_lives(answers, task.dataset.lives, chosen_from, healthy, dataset.inputs, config), config)
