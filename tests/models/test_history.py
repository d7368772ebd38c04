from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.features import WAVEFORM
from models.history import History, HistoryConfig

FEATURES = ("rms@1", "kurtosis@1")
QUICK = HistoryConfig(baseline_windows=4, fast_windows=2.0, slow_windows=8.0)
Window = dict[str, NDArray[np.float64]]


def window(rms: float, kurtosis: float = 3.0, channel: str = "x") -> Window:
    return {channel: np.array([rms, kurtosis])}


def started(history: History | None = None, rms: float = 2.0) -> History:
    """A history whose healthy start is learned."""
    history = history or History(FEATURES, QUICK)
    found = [history.update(10.0 * i, window(rms)) for i in range(QUICK.baseline_windows)]
    assert [f is None for f in found] == [True] * (QUICK.baseline_windows - 1) + [False]
    return history


def test_a_model_sees_nothing_until_the_healthy_start_is_learned() -> None:
    history = started()
    assert history.learned


def test_a_machine_that_stays_as_it_was_has_a_condition_of_zeros_and_its_age() -> None:
    history = started()
    condition = history.update(3600.0, window(2.0))
    assert condition is not None
    assert condition.tolist() == pytest.approx([0.0] * 6 + [math.log(2.0)])
    assert len(history.inputs) == history.width == len(condition)


def test_an_amplitude_deviates_as_a_ratio_and_a_shape_as_a_difference() -> None:
    condition = started().update(50.0, window(4.0, 5.0))
    assert condition is not None
    assert condition[:2].tolist() == pytest.approx([math.log(2.0) / 2.0, 2.0 / 2.0])  # half of it in one fast window
    assert condition[2:4].tolist() == pytest.approx([math.log(2.0) / 8.0, 2.0 / 8.0])


@given(gain=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_an_amplitude_does_not_depend_on_the_sensors_gain(gain: float) -> None:
    one, other = started(rms=2.0), started(rms=2.0 * gain)
    a, b = one.update(50.0, window(3.0)), other.update(50.0, window(3.0 * gain))
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_worst_channel_speaks_with_its_sign() -> None:
    history = History(FEATURES, QUICK)
    for i in range(4):
        history.update(10.0 * i, {**window(2.0), **window(1.0, channel="y")})
    condition = history.update(50.0, {**window(2.2), **window(0.25, channel="y")})
    assert condition is not None
    assert condition[0] == pytest.approx(math.log(0.25) / 2.0)


def test_a_channel_that_appears_later_has_no_say() -> None:
    history = started()
    assert history.update(50.0, window(9.0, channel="new")) is None
    condition = history.update(60.0, {**window(2.0), **window(9.0, channel="new")})
    assert condition is not None
    assert condition[0] == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_leaves_no_trace(bad: float) -> None:
    history, clean = started(), started()
    assert history.update(50.0, window(bad)) is None
    a, b = history.update(60.0, window(3.0)), clean.update(60.0, window(3.0))
    assert a is not None
    assert b is not None
    assert a.tobytes() == b.tobytes()


def test_a_dead_sensor_gives_a_number() -> None:
    condition = started().update(50.0, window(0.0))
    assert condition is not None
    assert np.isfinite(condition).all()


def test_a_clock_that_goes_back_makes_no_negative_age() -> None:
    condition = started().update(-1e6, window(2.0))
    assert condition is not None
    assert condition[-1] == 0.0


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_a_restart_at_any_window_changes_nothing(levels: list[float], at: int) -> None:
    steady, restarted = History(FEATURES, QUICK), History(FEATURES, QUICK)
    for i, level in enumerate(levels):
        if i == at:
            again = History(FEATURES, QUICK)
            again.load(restarted.dump())
            restarted = again
        a, b = steady.update(10.0 * i, window(level)), restarted.update(10.0 * i, window(level))
        assert (a is None) == (b is None)
        assert a is None or b is None or a.tobytes() == b.tobytes()


def test_what_comes_later_does_not_change_what_was_said() -> None:
    random = np.random.default_rng(0)
    levels = np.exp(random.standard_normal(60))
    whole, half = History(FEATURES, QUICK), History(FEATURES, QUICK)
    said = [whole.update(10.0 * i, window(v)) for i, v in enumerate(levels)]
    before = [half.update(10.0 * i, window(v)) for i, v in enumerate(levels[:30])]
    assert [None if x is None else x.tobytes() for x in said[:30]] == [
        None if x is None else x.tobytes() for x in before
    ]


def test_a_history_of_all_features_serves_a_model_of_a_few() -> None:
    every = tuple(spec.id for spec in WAVEFORM)
    random = np.random.default_rng(1)
    whole, few = History(every), History(FEATURES)
    position = [every.index(f) for f in FEATURES]
    condition = None
    for i in range(50):
        values = np.exp(random.standard_normal(len(every)))
        whole.update(10.0 * i, {"x": values})
        condition = few.update(10.0 * i, {"x": values[position]})
        if i == 40:
            narrowed = whole.narrowed(FEATURES, few.config)
            assert narrowed is not None
        elif i > 40:
            again = narrowed.update(10.0 * i, {"x": values[position]})
            assert again is not None
            assert condition is not None
            np.testing.assert_allclose(again, condition, rtol=1e-6, atol=1e-7)
    assert whole.narrowed(("level@1",), few.config) is None
