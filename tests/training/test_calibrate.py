from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.training.fleet import SMALL
from tests.training.test_metrics import life
from training.dataset import Dataset
from training.metrics import covered, rows_at
from training.prognosis.calibrate import Adjustment, adjust, choose_adjustment, choose_limits, promise
from training.prognosis.fit import answer, fit
from training.prognosis.folds import Answers

PRIOR = np.log(np.array([0.1, 0.5, 1.2], np.float32))


def answers(whole_s: float, quantiles: tuple[float, float, float], machine: str, worn: float = 0.0) -> Answers:
    """A model that says the same shares of the true remaining life at every row."""
    lived = life(whole_s, machine=machine)
    rul = (lived.rul_s[:, None] * np.array(quantiles)).astype(np.float32)
    return Answers(lived, np.full(len(rul), worn, np.float32), rul, PRIOR)


def test_a_model_that_knows_is_trusted() -> None:
    chosen = choose_adjustment([answers(s, (0.9, 1.0, 1.1), f"M{s}") for s in (1000, 2000, 5000)], SMALL)
    assert chosen.trust == 1.0


def test_a_model_that_is_wrong_about_left_out_machines_is_not_trusted() -> None:
    chosen = choose_adjustment([answers(s, (4.9, 5.0, 5.1), f"M{s}") for s in (1000, 2000, 5000)], SMALL)
    assert chosen.trust == 0.0


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


def test_the_graph_does_what_the_adjustment_did_in_evaluation(dataset: Dataset) -> None:
    weights = fit(dataset.lives[:3], msgspec.structs.replace(SMALL, steps=20), seed=1)
    lived = dataset.lives[3]
    adjustment = Adjustment(trust=0.25, widening=0.4)
    rows = np.arange(len(lived.age_s))
    ours = adjustment.apply(Answers(lived, *answer(weights, lived.condition), weights["prior"]), rows)
    graph = answer(adjust(weights, adjustment), lived.condition)[1]
    positive = graph > 1.0  # below, both are cut at zero
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


def test_limits_can_be_reached() -> None:
    lives = [life(1000.0, machine=f"M{i}") for i in range(3)]
    chosen = choose_limits([(x, np.ones(len(x.age_s))) for x in lives], SMALL, margin=0.05, highest=0.98)
    assert chosen.warn == chosen.act == 0.98


def test_few_machines_promise_nothing() -> None:
    assert promise(4) == "not guaranteed: 4 machines"
    assert "not guaranteed" not in promise(9)
