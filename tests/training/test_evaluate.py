from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from tests.training.fleet import SMALL
from training.dataset import Dataset
from training.prognosis.calibrate import choose_adjustment
from training.prognosis.evaluate import choose_model_limits, judge, summarise
from training.prognosis.fit import Weights, fit
from training.prognosis.folds import Groups, Left, answers_of, group_machines, lives_without, others, plan

QUICK = msgspec.structs.replace(SMALL, steps=10)


def fitted(dataset: Dataset, groups: Groups) -> dict[Left, Weights]:
    return {left: fit(lives_without(dataset, groups, left), QUICK, 2) for left in plan(groups) if left}


def test_every_fit_leaves_out_what_it_says(dataset: Dataset) -> None:
    groups = group_machines(dataset.machines, 8)
    assert [len(lives_without(dataset, groups, left)) for left in plan(groups)] == [4] + [3] * 4 + [2] * 6


def test_machines_are_dealt_into_at_most_so_many_groups() -> None:
    groups = group_machines([f"M{i:02}" for i in range(20)], 8)
    assert len(groups) == 8
    assert sorted(m for g in groups for m in g) == [f"M{i:02}" for i in range(20)]
    assert len(plan(groups)) == 1 + 8 + 28


def test_nothing_that_is_said_of_a_machine_was_chosen_with_a_look_at_its_end(dataset: Dataset) -> None:
    groups = group_machines(dataset.machines, 8)
    first = dataset.lives[0]
    lied = replace(first, rul_s=3.0 * first.rul_s, degradation=first.degradation[::-1].copy())
    said = []
    for each in (dataset, replace(dataset, lives=(lied, *dataset.lives[1:]))):
        answers = answers_of(each, groups, fitted(each, groups))
        rest = others(answers, 0, groups)
        (own,) = answers[0, frozenset({0})]
        chosen = (choose_adjustment(rest, QUICK), choose_model_limits(rest, QUICK))
        said.append((chosen, own.degradation.tobytes(), own.rul_s.tobytes()))
    assert said[0] == said[1]


def test_the_summary_counts_every_machine_once(dataset: Dataset) -> None:
    groups = group_machines(dataset.machines, 8)
    judged = judge(dataset, groups, answers_of(dataset, groups, fitted(dataset, groups)), SMALL)
    summary = summarise(judged, SMALL)
    for who in ("ours", "rms_rule"):
        assert sum(summary[f"alarms_{kind}"][who] for kind in ("in_time", "early", "late", "missed")) == 4
    assert summary["machines"] == 4
    assert [line["machine"] for line in summary["by_machine"]] == list(dataset.machines)
    mean = np.mean([line["mae_s"]["ours"] for line in summary["by_machine"]])
    assert abs(summary["rul_mae_s"]["ours"] - mean) < 0.1
