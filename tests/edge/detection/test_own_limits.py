"""After a week of healthy running the limit is the machine's own, and a budget means what it says."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge.detection import DetectionConfig, Detector
from edge.detection.own_limits import BLOCKS, OwnLimits, tail_of
from edge.detection.regime import ANY, Regime
from edge.types import AlarmChange

HOUR_S = 3600.0
HOURS_A_YEAR = 8766.0
EVERY_S = 120.0  # 30 windows an hour
CONFIG = DetectionConfig(every_s=EVERY_S)


def listen(limits: OwnLimits, deviations: Sequence[float], first: int = 0, regime: Regime = ANY) -> None:
    for i, deviation in enumerate(deviations, first):
        limits.update(round(i * EVERY_S * 1e9), deviation, regime)


def week(seed: int = 0, scale: float = 0.3) -> list[float]:
    """A healthy machine: each hour at a level of its own, and a first window of the next."""
    levels = np.random.default_rng(seed).gumbel(1.0, scale, BLOCKS + 1).clip(0.0)
    return np.repeat(levels, 30).tolist()[: BLOCKS * 30 + 1]


@pytest.mark.parametrize("budget", [1.0, 30.0, 300.0])
def test_the_limit_of_an_exponential_tail_is_passed_as_often_as_the_budget_says(budget):
    rng = np.random.default_rng(1)
    limits = [tail_of(rng.exponential(0.2, BLOCKS).tolist(), HOUR_S).limit(budget) for _ in range(3000)]
    passed = HOURS_A_YEAR * np.mean([math.exp(-limit / 0.2) for limit in limits])
    assert passed == pytest.approx(budget, rel=0.25)


def test_a_steady_machines_own_limit_is_lower_than_day_zeros_and_higher_than_its_week():
    limits = OwnLimits(CONFIG, 2)
    listen(limits, week())
    assert max(week()) < limits.now.warn < limits.day_zero
    assert limits.now.act == 2.0 * limits.day_zero, "how bad it is does not move"


def test_a_larger_budget_gives_a_lower_limit_and_none_falls_below_its_floor():
    found = []
    for budget in (1.0, 10.0, 100.0):
        limits = OwnLimits(msgspec.structs.replace(CONFIG, false_alarms_per_year=budget), 2)
        listen(limits, week())
        found.append(limits.now.warn)
    assert found == sorted(found, reverse=True)
    still = OwnLimits(CONFIG, 2)
    listen(still, [0.01] * len(week()))
    assert still.now.warn == pytest.approx(0.4 * still.day_zero)


def test_what_lasts_less_than_the_on_delay_is_not_learned():
    limits, flickering = OwnLimits(CONFIG, 2), OwnLimits(CONFIG, 2)
    listen(limits, week())
    listen(flickering, [9.0 if i % 30 > 24 else d for i, d in enumerate(week())])
    assert flickering.now.warn == limits.now.warn


def test_a_machine_that_fails_in_its_first_week_is_judged_as_on_day_zero():
    limits = OwnLimits(CONFIG, 2)
    listen(limits, np.linspace(0.0, 12.0, len(week())).tolist())
    assert limits.now.warn == limits.day_zero


def test_nothing_is_learned_after_the_week_and_nothing_from_hours_of_few_windows():
    limits = OwnLimits(CONFIG, 2)
    listen(limits, week())
    learned = limits.now
    listen(limits, [4.0] * 3000, first=len(week()))
    assert limits.now == learned
    sparse = OwnLimits(CONFIG, 2)
    for i in range(10 * BLOCKS):
        sparse.update(round(i * HOUR_S / 10 * 1e9), 1.0)
    assert sparse.now.warn == sparse.day_zero


def test_in_a_regime_that_the_week_did_not_see_day_zeros_limit_holds():
    limits = OwnLimits(CONFIG, 2)
    listen(limits, week(), regime=Regime(70, 20))
    own = limits.now.warn
    listen(limits, [1.0], first=len(week()), regime=Regime(75, 20))
    assert limits.now.warn == limits.day_zero > own
    listen(limits, [1.0], first=len(week()) + 1, regime=Regime(70, 20))
    assert limits.now.warn == own


@pytest.mark.parametrize("cut", [17, 1000, BLOCKS * 30 - 1, BLOCKS * 30 + 1])
def test_a_restart_forgets_nothing_and_a_new_budget_counts_after_it(cut):
    whole, first = OwnLimits(CONFIG, 2), OwnLimits(CONFIG, 2)
    listen(whole, week())
    listen(first, week()[:cut])
    state = json.loads(msgspec.json.encode(first.state()))
    second = OwnLimits(CONFIG, 2)
    second.restore(state)
    listen(second, week()[cut:], first=cut)
    assert second.state() == whole.state()
    assert second.now == whole.now
    looser = OwnLimits(msgspec.structs.replace(CONFIG, false_alarms_per_year=50.0), 2)
    looser.restore(whole.state() | {"tail": msgspec.to_builtins(whole.state()["tail"])})
    assert looser.now.warn < whole.now.warn


def test_a_machine_that_is_known_is_raised_by_what_day_zero_would_let_pass_until_it_is_repaired(fleet):
    """Through the detector, over a restart: all features 40 % up are 3.4 robust z and below day zero's 5.1."""
    detector = Detector(fleet.machine, CONFIG)
    rng = np.random.default_rng(3)

    def run(detector: Detector, factor: float, first: int, count: int) -> list[AlarmChange]:
        told = []
        for i in range(first, first + count):
            rows = fleet.rows(factor * math.exp(0.05 * rng.standard_normal()))
            window = replace(fleet.window(i), time_ns=round(i * EVERY_S * 1e9))
            told += [a.change for a in detector.update(window, rows)[1]]
        return told

    new = Detector(fleet.machine, CONFIG)
    assert run(new, 1.0, 0, 400) + run(new, 1.4, 400, 60) == [], "day zero lets it pass"
    assert run(detector, 1.0, 0, 30 * (BLOCKS + 2)) == []
    known = Detector(fleet.machine, CONFIG)
    known.load(detector.dump())
    assert known.limit < known.config.limit(2)
    assert run(known, 1.4, 10_000, 60) == [AlarmChange.RAISED]
    known.new_baseline()
    assert known.limit == known.config.limit(2)
