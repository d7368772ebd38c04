"""Leads, false alarms and costs, on lives that can be counted by hand."""

from __future__ import annotations

import math

import msgspec
import pytest

from forewarn.backtest.costs import Costs, load_costs
from forewarn.backtest.outcome import (
    YEAR_HOURS,
    Outcome,
    best_interval,
    fair_interval,
    false_alarms,
    fixed_interval,
    judge,
    on_alarm,
    rate,
    ratio_interval,
    run_to_failure,
)
from forewarn.backtest.replay import Told
from models.errors import ConfigurationError
from training.labels import Span

HOUR = 3_600_000_000_000
COSTS = Costs(
    failure=900.0,
    planned_repair=100.0,
    false_alarm_visit=10.0,
    downtime_per_hour=100.0,
    failure_downtime_hours=1.0,
    planned_downtime_hours=0.0,
    planning_hours=5.0,
    horizon_hours=30.0,
)


def told(hour: float, *, raised: bool = True) -> Told:
    return Told(round(hour * HOUR), raised, "C", "baseline")


def life(hours: float, *, failed: bool = True) -> Span:
    return Span(0, round(hours * HOUR), failed)


def test_an_alarm_within_the_horizon_is_true_and_an_earlier_one_is_false():
    found = judge("m", life(100), [told(10), told(69.9), told(80), told(95)], COSTS)
    assert (found.false, found.lead_hours, found.healthy_hours) == ((10.0, 69.9), 20.0, 70.0)


def test_a_standing_alarm_that_gets_worse_early_is_no_second_false_one_and_tells_anew_within_the_horizon():
    found = judge("m", life(100), [told(10), told(50, raised=False), told(90, raised=False)], COSTS)
    assert (found.false, found.lead_hours) == ((10.0,), 10.0)
    assert judge("m", life(100), [told(10)], COSTS).lead_hours is None


def test_what_the_last_alarms_of_a_running_machine_mean_is_not_known():
    found = judge("m", life(100, failed=False), [told(10), told(90)], COSTS)
    assert (found.false, found.undecided, found.lead_hours) == ((10.0,), (90.0,), None)


def test_false_alarms_are_counted_over_the_healthy_hours_with_garwoods_bounds():
    found = false_alarms([Outcome("m", True, 2 * YEAR_HOURS, YEAR_HOURS, (1.0,), (), None)] * 2)
    assert (found.alarms, found.machine_years, found.a_year) == (2, 2.0, 1.0)
    assert found.interval == pytest.approx((0.1211, 3.6124), abs=1e-3)
    nothing = false_alarms([Outcome("m", True, 10.0, 0.0, (), (), None)])
    assert (nothing.a_year, nothing.interval) == (math.inf, (0.0, math.inf))


def outcome(machine: str, hours: float, *, lead: float | None = None, false: int = 0, failed: bool = True) -> Outcome:
    return Outcome(machine, failed, hours, max(hours - 30.0, 0.0), (1.0,) * false, (), lead)


def test_each_way_of_maintaining_costs_what_its_repairs_failures_and_visits_cost():
    lives = [outcome("a", 100.0, lead=15.0, false=2), outcome("b", 200.0, lead=4.0), outcome("c", 50.0, failed=False)]
    assert rate(lives, run_to_failure(COSTS)) == pytest.approx(2000.0 / 350.0)
    # a: repaired 10 hours before its failure; b: 4 hours of warning are less than the 5 that a repair needs
    assert rate(lives, on_alarm(COSTS)) == pytest.approx((120.0 + 1000.0) / (90.0 + 200.0 + 50.0))
    assert rate(lives, fixed_interval(COSTS, 60.0)) == pytest.approx(200.0 / 170.0)
    assert rate(lives, fixed_interval(COSTS, 150.0)) == pytest.approx(1100.0 / 300.0)


def test_the_best_interval_lies_just_before_a_failure_and_is_never_where_repairs_cost_more():
    lives = [outcome("a", 100.0), outcome("b", 200.0)]
    assert best_interval(lives, COSTS) == pytest.approx(100.0)
    dear = msgspec.structs.replace(COSTS, planned_repair=5000.0)
    assert best_interval(lives, dear) == math.inf


def test_a_fair_interval_of_a_machine_does_not_know_its_own_life():
    lives = [outcome("a", 40.0), outcome("b", 100.0)]
    spent = {o.machine: fair_interval(lives, COSTS)(o) for o in lives}
    assert spent["a"] == (1000.0, 40.0)  # b's life says 100 hours: too late for a
    assert spent["b"] == pytest.approx((100.0, 40.0))


def test_an_interval_of_costs_is_one_number_for_machines_that_are_all_alike_and_repeats_itself():
    alike = [outcome(name, 100.0, lead=15.0) for name in "abc"]
    both = ratio_interval(alike, on_alarm(COSTS), run_to_failure(COSTS))
    assert both == pytest.approx((100.0 / 90.0 / 10.0,) * 2)
    lives = [outcome("a", 100.0, lead=15.0), outcome("b", 200.0)]
    low, high = ratio_interval(lives, on_alarm(COSTS), run_to_failure(COSTS))
    assert (low, high) == ratio_interval(lives, on_alarm(COSTS), run_to_failure(COSTS))
    assert low < high <= 1.0


def test_the_documented_file_of_costs_holds_the_defaults(repository):
    assert load_costs(repository / "docs" / "costs.toml") == Costs() == load_costs(None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("failures = 1", "unknown field `failures`"),
        ("failure = -1.0", "0 or more"),
        ("planning_hours = 9.0\nhorizon_hours = 9.0", "longer than planning_hours"),
    ],
)
def test_a_wrong_file_of_costs_is_said_with_its_key(tmp_path, text, said):
    file = tmp_path / "costs.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_costs(file)
