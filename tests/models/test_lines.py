"""The view of a model of faults."""

from __future__ import annotations

import numpy as np
import pytest

from models.lines import Lines, LinesConfig

FEATURES = ("rival_bpfo@1", "prominence_bpfo@1", "band1_rms@1", "band2_rms@1", "kurtosis@1")


def row(prominence: float, low: float, high: float, kurtosis: float = 3.0) -> np.ndarray:
    return np.array([0.1 * prominence, prominence, low, high, kurtosis], np.float32)


def test_lines_are_the_clearest_channels_and_shapes_all_channels():
    view = Lines(FEATURES)
    condition = view.update(0.0, {"a": row(0.5, 1.0, 1.0), "b": row(2.0, np.e**2, 1.0)})
    assert view.inputs[:2] == ("prominence_bpfo@1", "rival_bpfo@1")
    assert condition.tolist() == pytest.approx([2.0, 0.2, 0.5, -0.5, np.arcsinh(3.0)], abs=1e-6)


def test_a_sensors_gain_changes_nothing():
    one, other = Lines(FEATURES), Lines(FEATURES)
    for low, high in ((1.0, 2.0), (3.0, 0.5)):
        a = one.update(0.0, {"v": row(1.0, low, high)})
        b = other.update(0.0, {"v": row(1.0, 1e3 * low, 1e3 * high)})
        assert a == pytest.approx(b, abs=1e-6)


def test_shapes_are_averaged_first_as_a_mean_then_with_a_time_constant():
    view = Lines(FEATURES, LinesConfig(windows=2))
    said = [float(view.update(0.0, {"v": row(1.0, np.exp(v), np.exp(-v))})[2]) for v in (0.0, 1.0, 2.5)]
    assert said == pytest.approx([0.0, 0.5, 1.5], abs=1e-6)


def test_what_is_dumped_goes_on_where_it_stopped_and_nan_is_not_seen():
    view, again = Lines(FEATURES), Lines(FEATURES)
    view.update(0.0, {"v": row(1.0, 2.0, 1.0)})
    assert view.update(1.0, {"v": row(float("nan"), 9.0, 1.0)}) is None
    again.load(view.dump())
    last = {"v": row(1.5, 1.0, 3.0, 7.0)}
    assert again.update(2.0, last).tolist() == view.update(2.0, last).tolist()


def test_an_average_over_no_window_is_refused():
    assert LinesConfig().problem() == ""
    assert LinesConfig(windows=0).problem()
