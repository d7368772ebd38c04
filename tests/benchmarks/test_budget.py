"""The budget's benchmark counts what it says, and each injected sensor fault is called by its name."""

from __future__ import annotations

import pytest

from benchmarks.budget import judged, machine_years
from benchmarks.drawn import DrawnMachine
from benchmarks.injected import INJECTIONS, machine_fault, sensor_fault
from benchmarks.known import BUDGETS, draw, leads


def test_a_budget_is_kept_unless_the_interval_lies_above_it():
    assert judged(0, 3.0, 0.1)["kept"]
    assert judged(8, 3.0, 1.5)["kept"]
    assert not judged(9, 3.0, 1.0)["kept"]


def test_drawn_windows_are_like_simulated_ones_that_the_fit_has_not_seen():
    assert max(DrawnMachine(3, 600).agreement(200).values()) < 0.2


def test_a_short_year_of_a_healthy_machine_has_no_alarm(monkeypatch):
    monkeypatch.setattr("benchmarks.budget.DrawnMachine", lambda seed: DrawnMachine(seed, 600))
    found = machine_years((2, 0.0005))
    assert (found["windows"], set(found["alarms"].values()), found["sensor_alarms"]) == (1578, {0}, 0)
    assert 0.0 < found["largest_deviation"] < 5.0


@pytest.mark.parametrize("name", INJECTIONS)
def test_an_injected_sensor_fault_is_called_one_and_the_machine_is_not_accused(name):
    assert sensor_fault((name, 30)) == (name, True, False)


@pytest.mark.parametrize("fault", ["cage", "unbalance"])
def test_a_machine_fault_is_not_called_a_sensor_fault(fault):
    assert machine_fault((fault, 30, False))[1:3] == (True, False)


def test_leads_tell_missed_from_late_and_the_picture_is_drawn(tmp_path):
    lives = [
        {"leads": {kind: {f"{b:g}": lead for b in BUDGETS} for kind in ("own", "day_zero")}} for lead in (0, 0.05, 0.3)
    ]
    found = leads(lives)
    assert found["own"]["1"] == {"missed": 1, "late": 1, "quartiles": [0.025, 0.05, 0.175]}
    rates = {f"{b:g}": judged(round(b), 3.0, b) for b in BUDGETS}
    every = {
        "budgets": rates,
        "day_zero_budgets": rates,
        "machine_years": 3.0,
        "machine_faults_after_a_healthy_week": found,
    }
    draw(every, tmp_path / "budget.svg")
    assert (tmp_path / "budget.svg").stat().st_size > 10_000
