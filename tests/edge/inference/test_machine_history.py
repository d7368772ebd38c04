"""`models.history` as the device uses it: its numbers are those that training sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.history import History, HistoryConfig

FEATURES = ("rms@1", "kurtosis@1")
CONFIG = HistoryConfig(baseline_windows=6, fast_windows=3.0, slow_windows=9.0)


def stream(seed: int, length: int) -> list[dict[str, np.ndarray]]:
    """Two channels that come and go, with a value now and then that is not finite."""
    random = np.random.default_rng(seed)
    windows = []
    for _ in range(length):
        window = {n: random.lognormal(size=2) for n in "hv" if random.random() < 0.9}
        if window and random.random() < 0.1:
            window[sorted(window)[0]][0] = np.nan
        windows.append(window)
    return windows


def feed(history: History, windows: list[dict[str, np.ndarray]], first: int = 0) -> list[list[float] | None]:
    found = [history.update(10.0 * (first + i), w) for i, w in enumerate(windows)]
    return [None if v is None else v.tolist() for v in found]


def test_the_vector_is_the_worst_channels_deviation_from_its_own_start_twice_smoothed():
    history = History(FEATURES, CONFIG)
    start = {"h": np.array([2.0, 3.0]), "v": np.array([0.5, 4.0])}
    for i in range(6):
        history.update(10.0 * i, start)
    found = history.update(3600.0, {"h": np.array([2.0 * np.e, 3.0]), "v": np.array([0.5, 1.0])})
    fast, slow = np.array([1.0, -3.0]) / 3.0, np.array([1.0, -3.0]) / 9.0
    # the sixth window ended the start and was taken with a deviation of 0
    np.testing.assert_allclose(found, [*fast, *slow, *(fast - slow), np.log1p(1.0)], rtol=1e-5)
    assert len(history.inputs) == history.width == 7


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_a_vector_uses_nothing_that_comes_after_it(seed, at):
    windows = stream(seed, 60)
    other_end = stream(seed + 1, 60)
    expected = feed(History(FEATURES, CONFIG), windows)[:at]
    assert feed(History(FEATURES, CONFIG), windows[:at] + other_end)[:at] == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_a_history_that_is_saved_at_any_window_goes_on_as_if_it_had_not_been(seed, at):
    windows = stream(seed, 60)
    whole, before, after = (History(FEATURES, CONFIG) for _ in range(3))
    expected = feed(whole, windows)
    first = feed(before, windows[:at])
    after.load(before.dump())
    assert first + feed(after, windows[at:], first=at) == expected
    assert after.dump() == whole.dump()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_stream_makes_a_vector_that_is_not_finite(seed):
    for vector in feed(History(FEATURES, CONFIG), stream(seed, 60)):
        assert vector is None or np.isfinite(vector).all()


def test_a_channel_that_is_missing_at_the_end_of_the_start_still_has_its_baseline():
    history = History(FEATURES, CONFIG)
    both = {"h": np.array([2.0, 3.0]), "v": np.array([0.5, 4.0])}
    feed(history, [both] * 5 + [{"h": both["h"]}])
    assert history.learned
    found = history.update(60.0, {"v": np.array([0.5 * np.e, 4.0])})
    assert found is not None
    assert found[0] == pytest.approx(1.0 / 3.0)


def test_a_narrowed_history_is_the_one_that_a_model_of_fewer_features_would_have_made():
    wide, narrow = History((*FEATURES, "peak@1"), CONFIG), History(("peak@1", "rms@1"), CONFIG)
    random = np.random.default_rng(5)
    for i in range(4 + 20):
        window = {n: random.lognormal(size=3) for n in "hv"}
        wide.update(10.0 * i, window)
        narrow.update(10.0 * i, {n: v[[2, 0]] for n, v in window.items()})
        part = wide.narrowed(("peak@1", "rms@1"), CONFIG)
        assert part is not None
        assert part.dump() == narrow.dump()
    assert wide.narrowed(("crest@1",), CONFIG) is None
