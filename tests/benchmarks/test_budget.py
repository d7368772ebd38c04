"""The budget's benchmark counts what it says, and each injected sensor fault is called by its name."""

from __future__ import annotations

import pytest

from benchmarks.budget import judged, machine_years
from benchmarks.drawn import DrawnMachine
from benchmarks.injected import INJECTIONS, machine_fault, sensor_fault


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
