from __future__ import annotations

import numpy as np
import pytest

from training.lives import Life
from training.metrics import covered, first_alarm, rows_at, sustained, winkler
from training.prognosis.floors import AgeFloor, ConstantFloor


def life(whole_s: float, every_s: float = 10.0, machine: str = "M") -> Life:
    """A life without a condition, watched from its first tenth on."""
    age = np.arange(whole_s / 10.0, whole_s + 1e-6, every_s)
    n = len(age)
    return Life(machine, np.zeros((n, 40), np.float32), age, whole_s - age, np.zeros(n, np.float32))


def test_the_interval_score_is_the_width_and_twenty_times_what_is_outside() -> None:
    truth, low, high = np.array([5.0, 1.0, 12.0]), np.full(3, 2.0), np.full(3, 10.0)
    assert winkler(truth, low, high).tolist() == [8.0, 8.0 + 20.0, 8.0 + 40.0]
    assert covered(truth, low, high).tolist() == [True, False, False]


def test_a_cut_is_judged_by_the_last_window_before_it() -> None:
    found = life(1000.0).age_s[rows_at(life(1000.0), (0.05, 0.5, 0.999))]
    assert found.tolist() == [500.0, 990.0]  # the first cut lies before the first window


def test_an_alarm_needs_as_many_windows_in_a_row_as_the_on_delay() -> None:
    assert sustained(np.array([1.0, 5.0, 4.0, 6.0]), 3).tolist() == [-np.inf, -np.inf, 1.0, 4.0]
    watched = life(1000.0)
    score = np.zeros(len(watched.age_s))
    score[20] = 1.0  # one outlier
    assert first_alarm(watched, score, 0.5, 3) is None
    score[50:] = 1.0
    assert first_alarm(watched, score, 0.5, 3) == pytest.approx(watched.share[52])


def test_more_windows_of_delay_than_windows_never_alarm() -> None:
    assert sustained(np.ones(2), 3).tolist() == [-np.inf, -np.inf]


def test_the_best_constant_has_the_least_error_of_all_constants() -> None:
    lives, cuts = [life(1000.0), life(3000.0), life(500.0)], (0.5, 0.7, 0.9)
    truth = np.concatenate([x.rul_s[rows_at(x, cuts)] for x in lives])
    best = np.abs(truth - ConstantFloor.fit(lives, cuts).quantiles[1]).mean()
    assert all(best <= np.abs(truth - c).mean() + 1e-9 for c in np.linspace(0, 1500, 301))


def test_the_best_k_has_the_least_error_of_all_multiples_of_the_age() -> None:
    lives, cuts = [life(1000.0), life(3000.0), life(500.0)], (0.5, 0.7, 0.9)
    truth = np.concatenate([x.rul_s[rows_at(x, cuts)] for x in lives])
    age = np.concatenate([x.age_s[rows_at(x, cuts)] for x in lives])
    best = np.abs(truth - AgeFloor.fit(lives, cuts).factors[1] * age).mean()
    assert all(best <= np.abs(truth - k * age).mean() + 1e-9 for k in np.linspace(0, 2, 401))
