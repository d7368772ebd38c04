from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.training.fleet import SMALL
from tests.training.test_metrics import life
from training.bounds import binomial_interval
from training.dataset import Dataset
from training.lives import Life
from training.metrics import covered, first_alarm, rows_at
from training.prognosis.calibrate import Adjustment, adjust, choose_adjustment, choose_limits, promise
from training.prognosis.fit import answer, fit
from training.prognosis.folds import Answers


def answers(whole_s: float, quantiles: tuple[float, float, float], machine: str, trend: float = 2.0) -> Answers:
    """A model that says the same shares of the true remaining life at every row."""
    lived = life(whole_s, machine=machine)
    rul = (lived.rul_s[:, None] * np.array(quantiles)).astype(np.float32)
    return Answers(lived, np.zeros(len(rul), np.float32), rul, np.full(len(rul), trend, np.float32))


def test_intervals_are_widened_until_ninety_percent_of_the_left_out_cuts_lie_inside() -> None:
    seen = [answers(s, (0.6, 0.7, 0.8), f"M{s}") for s in (1000, 2000, 5000)]
    chosen = choose_adjustment(seen, SMALL)
    assert chosen.widening > 0
    inside = []
    for item in seen:
        rows = rows_at(item.life, SMALL.cuts)
        q = chosen.apply(item, rows)
        inside += covered(item.life.rul_s[rows], q[:, 0], q[:, 2]).tolist()
    assert np.mean(inside) >= 0.9


def test_no_estimate_is_scored_as_a_share_of_the_age_and_widens_nothing() -> None:
    silent = answers(1000, (0.6, 0.7, 0.8), "M1", trend=0.9)
    rows = rows_at(silent.life, SMALL.cuts)
    age = silent.life.age_s[rows]
    said = Adjustment(widening=1.0).apply(silent, rows)
    np.testing.assert_allclose(said, np.stack([0.1 * age, 0.3 * age, age], axis=1))
    assert choose_adjustment([silent], SMALL).widening == 0.0
    assert choose_adjustment([silent, answers(2000, (0.6, 0.7, 0.8), "M2")], SMALL).widening > 0.0


def test_the_graph_does_what_the_adjustment_did_in_evaluation(dataset: Dataset) -> None:
    weights = fit(dataset.lives[:3], msgspec.structs.replace(SMALL, steps=20), seed=1)
    lived = dataset.lives[3]
    adjustment = Adjustment(widening=0.4)
    rows = np.arange(len(lived.age_s))
    ours = adjustment.apply(Answers(lived, *answer(weights, lived.condition)), rows)
    _, graph, trend = answer(adjust(weights, adjustment), lived.condition)
    positive = (graph > 1.0).all(axis=1) & (trend >= 1.0)  # below, both are cut at zero
    np.testing.assert_allclose(ours[positive], graph[positive], rtol=2e-3)


def test_limits_lie_above_what_healthy_machines_showed_within_the_budget() -> None:
    lives = [life(1000.0, machine=f"M{i}") for i in range(5)]
    scores = [np.where(x.share < 0.6, 0.1 * (i + 1), 0.9) for i, x in enumerate(lives)]
    none = msgspec.structs.replace(SMALL, early_budget=0.0)
    strict = choose_limits(list(zip(lives, scores, strict=True)), none, margin=0.05, highest=0.98)
    assert strict.warn == pytest.approx(0.55)
    assert strict.act == pytest.approx(0.95)  # 0.9 was seen before 80 % of the lives
    lenient = choose_limits(
        list(zip(lives, scores, strict=True)),
        msgspec.structs.replace(none, early_budget=0.25),
        margin=0.05,
        highest=0.98,
    )
    assert lenient.warn == pytest.approx(0.45)  # the loudest of five machines may be warned about falsely


@pytest.mark.parametrize("budget", [0.05, 0.2, 0.4])
def test_a_budget_of_false_warnings_is_kept_on_machines_that_the_limit_was_not_chosen_on(budget: float) -> None:
    """100 machines choose, 400 others are watched: 20 to 160 false warnings are expected."""
    random = np.random.default_rng(3)
    lived = life(1000.0)

    def machines(count: int) -> list[tuple[Life, np.ndarray]]:
        scores = random.uniform(0.0, 0.8, count)[:, None] + np.where(lived.share < 0.6, 0.0, 0.2)
        return [(replace(lived, machine=f"M{i}"), score) for i, score in enumerate(scores)]

    config = msgspec.structs.replace(SMALL, early_budget=budget)
    warn = choose_limits(machines(100), config, margin=0.0, highest=1.0).warn
    first = [first_alarm(x, score, warn, config.on_delay_windows) for x, score in machines(400)]
    false = sum(at is not None and at < config.early_share for at in first)
    low, high = binomial_interval(false, 400)
    assert low <= budget <= high + 0.05  # kept, and not by never warning


def test_a_limit_never_lies_where_damage_does_not_show() -> None:
    lives = [life(1000.0, machine=f"M{i}") for i in range(3)]
    chosen = choose_limits([(x, np.zeros(len(x.age_s))) for x in lives], SMALL, margin=0.05, lowest=0.5, highest=0.98)
    assert chosen.warn == 0.5


def test_limits_can_be_reached() -> None:
    lives = [life(1000.0, machine=f"M{i}") for i in range(3)]
    chosen = choose_limits([(x, np.ones(len(x.age_s))) for x in lives], SMALL, margin=0.05, highest=0.98)
    assert chosen.warn == chosen.act == 0.98


def test_few_machines_promise_nothing() -> None:
    assert promise(4) == "not guaranteed: 4 machines"
    assert "not guaranteed" not in promise(9)
