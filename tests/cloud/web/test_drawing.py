"""What a chart shows of a series: never a hidden peak, never an invented value."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.web.drawing import BINS, EMPTY, Series, heartbeat, interval_bar, series


def _series(values, times=None):
    return Series(np.arange(len(values), dtype=float) if times is None else np.array(times, float), np.array(values))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(2, 50))
def test_bands_keep_every_extreme_and_are_never_more_than_asked(values, bins):
    shown = _series(values).bands(bins)
    assert len(shown.time_s) <= bins or len(shown.time_s) == len(values) <= bins
    assert shown.high.max() == max(values)
    assert shown.low.min() == min(values)
    slack = 1e-9 * (1 + np.abs(shown.middle))
    assert np.all((shown.low <= shown.middle + slack) & (shown.middle <= shown.high + slack))
    assert np.all(np.diff(shown.time_s) > 0)


def test_a_chart_gets_at_most_a_thousand_lowest_and_highest_values():
    shown = _series(np.random.default_rng(1).normal(size=60_000)).bands(BINS[-1])
    assert len(shown.low) + len(shown.high) <= 1000
    assert shown.thinned


def test_a_short_series_is_drawn_as_it_is():
    shown = _series([1.0, 5.0, 2.0]).bands(500)
    assert shown.middle.tolist() == [1.0, 5.0, 2.0]
    assert not shown.thinned


def test_values_at_one_single_time_do_not_divide_by_zero():
    assert _series([1.0] * 9, [5.0] * 9).bands(4).high.max() == 1.0


def test_where_data_is_missing_no_line_is_drawn():
    columns = _series([1.0, 2.0, 3.0, 4.0, 5.0], [0, 10, 20, 500, 510]).bands(10).as_json()
    assert columns["middle"] == [1.0, 2.0, 3.0, None, 4.0, 5.0]
    assert columns["time_s"] == [0, 10, 20, 30, 500, 510]
    assert all(len(c) == 6 for c in columns.values())


def test_nothing_draws_nothing():
    assert EMPTY.bands(10).as_json() == {"time_s": [], "low": [], "middle": [], "high": []}


def test_rows_are_sorted_and_what_is_not_finite_is_left_out():
    found = series(np.array([3, 1, 2]) * 10**9, np.array([3.0, np.nan, 2.0]))
    assert found.time_s.tolist() == [2.0, 3.0]
    assert found.value.tolist() == [2.0, 3.0]


@pytest.mark.parametrize("values", [[0.5], [0.5, 1e9], [-3.0] * 500, list(range(1000))])
def test_a_heartbeat_stays_inside_its_box(values):
    svg = str(heartbeat(np.array(values, float)))
    line = svg.split('heartbeat-line" points="')[1].split('"', maxsplit=1)[0]
    y = [float(point.split(",")[1]) for point in line.split()]
    assert all(0 <= v <= 34 for v in y)
    assert "style=" not in svg, "the policy of the pages forbids inline styles"


def test_the_middle_of_an_interval_lies_inside_its_band():
    svg = str(interval_bar(3.0, 5.0, 9.0))
    band, middle = (
        re.search(f'class="interval-{part}" x="([0-9.]+)" y="[0-9]" width="([0-9.]+)"', svg)
        for part in ("band", "middle")
    )
    assert float(band[1]) < float(middle[1]) < float(band[1]) + float(band[2]) <= 320
