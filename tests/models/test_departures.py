from __future__ import annotations

import numpy as np
import pytest

from models.departures import LEVEL, Departures, DeparturesConfig

QUICK = DeparturesConfig(channels=("a", "b"), start_windows=60)


def heard(view: Departures, values: np.ndarray, *, first: int = 0) -> list:
    rows = ({"a": np.array([a]), "b": np.array([b])} for a, b in values)
    return [view.update(10.0 * i, row) for i, row in enumerate(rows, first)]


def noise(rows: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((rows, channels))


def test_a_step_departs_from_the_start_for_good_and_from_the_slow_level_for_a_while() -> None:
    values = noise(1500)
    values[100:, 0] += 12.0
    said = heard(Departures((LEVEL,), QUICK), values)
    assert said[:60] == [None] * 60
    soon, late = said[115], said[-1]
    assert soon[0] > 8
    assert soon[2] > 8
    assert abs(soon[3]) < 5
    assert late[0] > 8
    assert late[2] < 5


def test_a_lone_outlier_is_waited_for() -> None:
    values = noise(120)
    values[100, 0] = 1000.0
    calm = noise(120)
    calm[100, 0] = calm[99, 0]
    with_it, without = (heard(Departures((LEVEL,), QUICK), v)[101] for v in (values, calm))
    assert with_it == pytest.approx(without, abs=1.0)


def test_a_level_that_changed_in_a_pause_is_no_departure_from_the_slow_level() -> None:
    view, values = Departures((LEVEL,), QUICK), noise(140)
    heard(view, values[:100])
    after = heard(view, values[100:] + 50.0, first=100_000)
    assert max(abs(c[2]) for c in after) < 5
    assert after[-1][0] > 40


@pytest.mark.parametrize("cut", [3, 30, 59, 75])
def test_what_is_saved_goes_on_as_if_nothing_had_happened(cut: int) -> None:
    values = noise(120)
    values[5, 1] = values[70, 0] = np.nan
    whole, first, second = (Departures((LEVEL,), QUICK) for _ in range(3))
    wanted = heard(whole, values)
    heard(first, values[:cut])
    second.load(first.dump())
    for ours, theirs in zip(heard(second, values[cut:], first=cut), wanted[cut:], strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or ours.tolist() == theirs.tolist()


def test_a_channel_that_was_missing_in_the_start_departs_by_nothing() -> None:
    values = noise(80)
    values[:60, 1] = np.nan
    said = heard(Departures((LEVEL,), QUICK), values)[-1]
    assert said[1] == 0
    assert said[3] == 0
