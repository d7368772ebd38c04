from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from tests.training.fleet import EVERY_NS, LIVES, SMALL, START_NS, fleet_labels, fleet_rows
from training.dataset import Dataset, build
from training.labels import HEALTHY, Labels, Verdict
from training.prognosis.calibrate import choose_adjustment
from training.prognosis.evaluate import choose_model_limits, judge, judge_healthy, summarise
from training.prognosis.fit import Weights, fit
from training.prognosis.folds import (
    Groups,
    Left,
    answers_of,
    group_machines,
    left_out,
    lives_without,
    of_healthy,
    others,
    plan,
)

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
    judged = judge(dataset, groups, fitted(dataset, groups), SMALL)
    summary = summarise(judged, SMALL)
    for who in ("ours", "rms_rule"):
        assert sum(summary[f"alarms_{kind}"][who] for kind in ("in_time", "early", "late", "missed")) == 4
    assert summary["machines"] == 4
    assert [line["machine"] for line in summary["by_machine"]] == list(dataset.machines)
    mean = np.mean([line["mae_s"]["ours"] for line in summary["by_machine"]])
    assert abs(summary["rul_mae_s"]["ours"] - mean) < 0.1


def verdict(machine: str, first: int, last: int) -> Verdict:
    return Verdict(START_NS + first * EVERY_NS, START_NS + last * EVERY_NS, machine, HEALTHY, "demo")


def test_windows_that_crews_found_good_raise_the_limits_and_are_judged_by_limits_without_their_machine() -> None:
    loud = {"H1": 250, "H2": 260}  # as loud as those that fail, but the crew found nothing
    labels = Labels(fleet_labels().history, [verdict(name, 180, n - 1) for name, n in loud.items()])
    dataset = build(fleet_rows({**LIVES, **loud}), labels, QUICK)
    groups = group_machines(dataset.machines, 8)
    fits = {left: fit(lives_without(dataset, groups, left), QUICK, 2) for left in plan(groups)}
    unseen, healthy = left_out(answers_of(dataset, groups, fits), groups), of_healthy(dataset, groups, fits)
    assert [a.life.machine for a in healthy] == ["demo/H1", "demo/H2"]
    assert choose_model_limits([*unseen, *healthy], QUICK).warn > choose_model_limits(unseen, QUICK).warn + 0.1
    figures = judge_healthy(unseen, healthy, dataset.inputs, QUICK)
    assert figures["healthy_stretches"] == 2
    assert figures["alarms_on_healthy"]["ours"] == 2, "the other one alone does not move a limit of a quarter"
    judged = summarise(judge(dataset, groups, fits, QUICK), QUICK)
    plain = summarise(judge(replace(dataset, healthy=()), groups, fits, QUICK), QUICK)
    assert judged["alarms_early"]["ours"] <= plain["alarms_early"]["ours"]
    assert judged["rul_mae_s"] == plain["rul_mae_s"]


def test_good_windows_of_a_machine_that_failed_later_are_answered_by_fits_that_never_saw_it(dataset: Dataset) -> None:
    groups = group_machines(dataset.machines, 8)
    own = replace(dataset, healthy=(dataset.lives[0],))
    fits = fitted(own, groups)
    assert not of_healthy(own, groups, fits, apart=0)
    (said,) = of_healthy(own, groups, fits, apart=1)
    (wanted,) = answers_of(own, groups, fits)[0, frozenset({0, 1})]
    assert said.degradation.tobytes() == wanted.degradation.tobytes()
