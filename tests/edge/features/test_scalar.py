"""A slow channel's level is robust, its rate is a slope per minute over ten minutes, and bad samples are left out."""

from __future__ import annotations

import numpy as np
import pytest

from edge.features import Extractor
from edge.features.scalar import LONGEST, Trend
from edge.types import Kind, Window


def levels(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_the_level_is_the_median_so_that_one_spike_does_not_move_it() -> None:
    assert Trend().update(0.0, levels(20, 21, 900)) == (21.0, 0.0)


def test_samples_that_are_not_finite_are_no_data() -> None:
    trend = Trend()
    assert trend.update(0.0, levels(np.nan, 5.0, np.inf)) == (5.0, 0.0)
    assert trend.update(1.0, levels(np.nan)) is None
    assert trend.update(2.0, levels()) is None


def test_the_rate_is_the_least_squares_slope_per_minute_over_the_last_ten_minutes() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(0, 3600, 10.0)
    temperatures = 40 + np.where(times < 3000, 0.0, (times - 3000) / 60 * 1.5) + 0.2 * rng.standard_normal(times.size)
    trend = Trend()
    rates = [trend.update(float(t), levels(v))[1] for t, v in zip(times, temperatures, strict=True)]
    last = times >= times[-1] - 600
    expected = np.polyfit(times[last], temperatures[last].astype(np.float32), 1)[0] * 60
    assert rates[-1] == pytest.approx(expected, rel=1e-4)
    assert rates[:2] == [0.0, 0.0]


def test_a_clock_that_goes_back_starts_the_slope_anew() -> None:
    trend = Trend()
    for t in (100.0, 110.0, 120.0):
        trend.update(t, levels(t))
    assert trend.update(50.0, levels(999.0)) == (999.0, 0.0)


def test_memory_is_bounded_however_fast_the_channel_is_read() -> None:
    trend = Trend()
    for i in range(3 * LONGEST):
        trend.update(i * 1e-3, levels(i))
    assert len(trend._history) == LONGEST


def test_slow_channels_get_rows_of_scalars_with_their_units(make_machine) -> None:
    extractor = Extractor(make_machine(slow=True))
    (row,) = extractor.extract(Window(machine="m", time_ns=0, samples={"temperature": levels(41.5)}))
    assert (row.channel, row.kind) == ("temperature", Kind.SCALARS)
    assert row.schema.columns == ("level@1", "rate@1")
    assert row.schema.units == ("C", "C/min")
    assert row.values.tolist() == [41.5, 0.0]
