"""A search for better settings that does not fool itself, apart from where it runs.

* A third of the machines is held back; nothing about them is looked at until one setting is chosen.
* Each candidate is judged on the other machines by the product's own evaluation, leaving one machine out, in stages:
  half of the machines, all of them, then with trust and limits chosen without each machine too. After a stage a
  candidate that is worse than half of those that came so far ends (asynchronous successive halving, Li et al. 2020).
* Candidate 0 is the settings as they are; all is measured beside it and beside remaining life as k x age.
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
from training.metrics import Array, covered, rows_at, winkler
from training.model import Say
from training.prognosis.calibrate import choose_adjustment
from training.prognosis.evaluate import judge
from training.prognosis.fit import Weights, answer
from training.prognosis.floors import AgeFloor, ConstantFloor
from training.prognosis.folds import Answers, Groups, Left, answers_of, group_machines, left_out, plan
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
    """One candidate, as far as it came; `objectives` by stage, in units of k x age: below 1 is better."""

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
    return Dataset(dataset.inputs, dataset.of(kept), dataset.digest, dataset.left_out), held


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
    """Error of the median and interval score over those of k x age, the mean of both ratios."""
    answers = answers_of(task.dataset, task.groups, done)
    if whole:
        judged = judge(task.dataset, task.groups, answers, config)
        pairs = [(j.truth, j.said["ours"], j.said["k_x_age"]) for j in judged]
    else:
        seen = [a for (_, left), items in answers.items() if len(left) == 1 for a in items]
        adjustment = choose_adjustment(seen, config)
        pairs = []
        for item in seen:
            rows = rows_at(item.life, config.cuts)
            others = [life for life in task.dataset.lives if life.machine != item.life.machine]
            floor = AgeFloor.fit(others, config.cuts).predict(item.life.age_s[rows])
            pairs.append((item.life.rul_s[rows], adjustment.apply(item, rows), floor))
    ours, floor = (np.mean([_errors(p[0], p[k]) for p in pairs], axis=0) for k in (1, 2))
    return float(np.mean(ours / floor))


def _errors(truth: Array, q: Array) -> tuple[float, float]:
    return float(np.abs(q[:, 1] - truth).mean()), float(winkler(truth, q[:, 0], q[:, 2]).mean())


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
    return f"candidate {number} of {count - 1}, stage {len(objectives)} of {STAGES}: {objectives[-1]:.3f} x k x age"


def choose(trials: Sequence[Trial]) -> Trial:
    """The best of those that were judged to the end; an even result goes to the earlier one."""
    return min((t for t in trials if t.finished), key=lambda t: (t.objectives[-1], t.number))


def judge_unseen(
    dataset: Dataset, task: Task, held: Sequence[str], number: int, *, run: Runner, say: Say
) -> dict[str, dict[str, float]]:
    """Judge a candidate on the machines that were held back, beside the floors: {who: measure}; seconds.

    Its model, its adjustment and the floors are made of the other machines alone. A mean is over lives.
    """
    config, groups = task.candidates[number], task.groups
    fits = [left for left in plan(groups) if len(left) < 2]
    weights = run(Job(task.dataset, groups, fits, config, task.seed), say)
    adjustment = choose_adjustment(left_out(answers_of(task.dataset, groups, weights), groups), config)
    final = weights[frozenset()]
    said: dict[str, list[tuple[float, float, float]]] = {}
    for life in dataset.of(held):
        rows = rows_at(life, config.cuts)
        item = Answers(life, *answer(final, life.condition), final["prior"])
        age, truth = life.age_s[rows], life.rul_s[rows]
        by = {
            "ours": adjustment.apply(item, rows),
            "constant": ConstantFloor.fit(task.dataset.lives, config.cuts).predict(age),
            "k_x_age": AgeFloor.fit(task.dataset.lives, config.cuts).predict(age),
        }
        for who, q in by.items():
            inside = float(covered(truth, q[:, 0], q[:, 2]).mean())
            said.setdefault(who, []).append((*_errors(truth, q), inside))
    names = ("mae_s", "winkler_s", "coverage")
    means: dict[str, Any] = {who: np.mean(rows, axis=0) for who, rows in said.items()}
    return {who: dict(zip(names, np.round(m, 3).tolist(), strict=True)) for who, m in means.items()}
