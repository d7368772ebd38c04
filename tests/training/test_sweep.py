"""A sweep chooses on some machines, is judged on others, and gives the same wherever it runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.errors import ConfigurationError, DataInsufficient
from tests.training.fleet import SMALL
from training.config import TrainingConfig
from training.dataset import Dataset
from training.prognosis.fit import Weights
from training.prognosis.folds import Left
from training.prognosis.pipeline import Job, run_here
from training.sweep import search, tuning
from training.sweep.report import Sweep, figures, markdown, plot, toml
from training.sweep.search import STAGES, Task, Trial, choose, ends, hold_back, judge_unseen, stage_fits
from training.sweep.space import SPACE, Choices, Range, candidates, changed, load_space

QUICK = msgspec.structs.replace(SMALL, steps=3, rows_per_life=40)


@pytest.fixture(scope="module")
def task(dataset: Dataset) -> Task:
    """Four candidates over three machines."""
    return Task(hold_back(dataset)[0], candidates({"learning_rate": Range(1e-3, 1e-2, log=True)}, QUICK, 4, 1), 3)


@pytest.fixture(scope="module")
def plain(task: Task) -> list[Trial]:
    return search.run_here(task, lambda line: None)


def test_the_same_space_and_seed_give_the_same_candidates_and_the_first_is_what_there_is() -> None:
    drawn = candidates(SPACE, TrainingConfig(), 30, 1)
    assert drawn == candidates(SPACE, TrainingConfig(), 30, 1) != candidates(SPACE, TrainingConfig(), 30, 2)
    assert drawn[0] == TrainingConfig()
    assert {c.steps for c in drawn} == {150, 300, 600}
    assert all(isinstance(c.steps, int) and 1e-3 <= c.learning_rate <= 1e-2 for c in drawn)
    assert all(set(changed(c, drawn[0])) <= set(SPACE) for c in drawn)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[cuts]\nchoices = [0.5]", "cuts: is no setting that a sweep may try"),
        ("[dropout]\nlow = 0.5\nhigh = 0.1", "low must be less"),
        ("[dropout]\nlow = 0.0\nhigh = 0.1\nlog = true", "above 0 with log"),
        ("[steps]\nchoices = []", "choices are missing"),
        ("[steps]\nfrom = 3", "steps"),
    ],
)
def test_a_space_that_is_none_is_said_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_space(file)


def test_a_space_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text("[dropout]\nlow = 0.1\nhigh = 0.4\n[steps]\nchoices = [10, 20]\n")
    assert load_space(file) == {"dropout": Range(0.1, 0.4), "steps": Choices((10.0, 20.0))}


def test_what_is_held_back_takes_no_part_in_the_choice(dataset: Dataset, task: Task) -> None:
    kept, held = hold_back(dataset)
    assert held == ("demo/M3",)
    assert set(kept.machines) | set(held) == set(dataset.machines)
    assert not set(kept.machines) & set(held)
    with pytest.raises(DataInsufficient, match="3 machines have failed, a sweep needs 4"):
        hold_back(kept)


def test_the_stages_make_every_fit_of_the_products_evaluation_once(task: Task) -> None:
    fits = [left for stage in range(1, STAGES + 1) for left in stage_fits(task.groups, stage)]
    assert len(fits) == len(set(fits)) == 6
    assert {len(left) for left in fits} == {1, 2}


def test_a_candidate_that_is_worse_than_half_of_those_before_it_ends() -> None:
    assert not ends(9.0, [])
    assert ends(1.1, [1.0])
    assert not ends(1.0, [1.0])
    assert ends(1.6, [1.0, 2.0])
    assert not ends(1.4, [1.0, 2.0])


def test_the_choice_is_the_best_of_those_that_were_judged_to_the_end() -> None:
    assert choose([Trial(0, (1.0, 1.0, 0.9)), Trial(1, (0.1,)), Trial(2, (1.0, 1.0, 0.9))]).number == 0


@dataclass(frozen=True, slots=True)
class DiesOnce(Task):
    """The worker is killed when the third stage begins, once; what it fits is logged."""

    log: Path

    def run(self, number: int, left: Left) -> Weights:
        """Die, once."""
        died = self.log.with_suffix(".died")
        if len(left) == 2 and not died.exists():
            died.touch()
            os.kill(os.getpid(), 9)
        with self.log.open("a") as file:
            file.write(f"{sorted(left)}\n")
        return super(DiesOnce, self).run(number, left)


@pytest.mark.timeout(300)  # four workers of Tune begin one after another, and one of them twice
def test_tune_gives_what_one_by_one_gives_although_a_worker_is_killed_and_a_second_start_only_reads(
    ray_cluster: str, task: Task, plain: list[Trial], tmp_path: Path
) -> None:
    lines: list[str] = []
    deadly = DiesOnce(task.dataset, task.candidates, task.seed, tmp_path / "log")
    found = tuning.run_on_tune(deadly, lambda line: None, store=tmp_path, address=ray_cluster, at_once=1)
    assert (tmp_path / "log.died").exists()
    assert found == plain
    assert any(not trial.finished for trial in found)  # or early stopping was not tried
    stages = [len(trial.objectives) for trial in found]
    needed = sum(len(stage_fits(task.groups, n)) for reached in stages for n in range(1, reached + 1))
    assert len((tmp_path / "log").read_text().splitlines()) == needed  # no fit twice

    assert tuning.run_on_tune(deadly, lines.append, store=tmp_path, address=ray_cluster) == plain
    assert lines[1:] == ["an earlier run of this sweep is there: going on from it"]
    assert len((tmp_path / "log").read_text().splitlines()) == needed


def test_the_report_stands_on_machines_that_the_choice_did_not_see(
    dataset: Dataset, task: Task, plain: list[Trial], tmp_path: Path
) -> None:
    held = hold_back(dataset)[1]
    judged = [
        judge_unseen(dataset, task, held, n, run=run_here, say=lambda line: None) for n in (choose(plain).number, 0)
    ]
    result = Sweep(task, plain, held, *judged)
    text = markdown(result, "s.png")
    assert "On machines that it was not chosen on (demo/M3)" in text
    assert "That difference flatters" in text
    assert f"| chosen settings | {judged[0]['degradation_mse']['ours']:.4f} | " in text
    assert f"| best constant; RMS rule | {judged[0]['degradation_mse']['constant']:.4f} | " in text
    told = json.loads(json.dumps(figures(result)))
    assert told["judged_on"] == ["demo/M3"]
    assert set(told["unseen"]["chosen"]["degradation_mse"]) == {"ours", "constant"}
    assert set(told["unseen"]["chosen"]["alarms_in_time"]) == {"ours", "rms_rule"}
    file = tmp_path / "best.toml"
    file.write_text(toml(result))
    assert msgspec.toml.decode(file.read_bytes()) == result.settings
    plot(result, tmp_path / "s.png")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_scores_of_two_stages_are_not_set_beside_each_other(task: Task) -> None:
    trials = [Trial(0, (0.9, 0.8)), Trial(1, (0.95, 0.7, 1.2))]
    told: dict[str, Any] = {"degradation_mse": {"ours": 0.1, "constant": 0.2}}
    told |= {f"alarms_{kind}": {"ours": 1, "rms_rule": 1} for kind in ("in_time", "early", "late", "missed")}
    text = markdown(Sweep(task, trials, ("demo/M3",), told, told), "s.png")
    assert "0.700 where the settings as they are have 0.800 in stage 2, where these ended." in text
    assert "1 machine proves little." in text


def test_nothing_is_learned_from_the_machines_that_are_held_back(dataset: Dataset, task: Task) -> None:
    held = hold_back(dataset)[1]
    fitted: list[Mapping[Left, Weights]] = []

    def run(job: Job, say: Callable[[str], None]) -> Iterator[tuple[Left, Weights]]:
        assert not set(held) & set(job.dataset.machines)
        fitted.append(dict(run_here(job, say)))
        yield from fitted[-1].items()

    before = judge_unseen(dataset, task, held, 0, run=run, say=lambda line: None)
    (life,) = dataset.of(held)
    rest = life.share > QUICK.cuts[-1]
    condition = np.where(rest[:, None], 99.0, life.condition).astype(np.float32)
    other = replace(dataset, lives=tuple(replace(x, condition=condition) if x is life else x for x in dataset.lives))
    after = judge_unseen(other, task, held, 0, run=run, say=lambda line: None)
    assert all(np.array_equal(w, fitted[1][left][n]) for left, ws in fitted[0].items() for n, w in ws.items())
    assert after["degradation_mse"]["constant"] == before["degradation_mse"]["constant"]
    for measure in ("rul_mae_s", "rul_winkler_s"):  # at the cuts, before what was changed
        assert after[measure] == before[measure]
