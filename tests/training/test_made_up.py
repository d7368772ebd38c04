"""Machines that never were: each is worn as the fleet's machines wore, and is seen as the device sees a machine."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import WrongUse
from models.memory import Memory, MemoryConfig
from training.dataset import Dataset
from training.fleet.learn import FleetConfig
from training.fleet.made_up import made_up
from training.fleet.train import train_fleet
from training.fleet.wear import Worn, curve, worn
from training.lives import Life

VIEW = MemoryConfig(channels=("a", "b", "c"), lengths=(1.0, 6.0), start_windows=4)
HOUR_S = 3600.0


def fleet(*, noise: float = 0.0) -> Worn:
    """Two ways to fail, twelve machines each: one moves both directions up, the other the second one down."""
    random = np.random.default_rng(5)
    ways = np.repeat([[6.0, 4.0], [6.0, -4.0]], 12, axis=0)
    return Worn(
        windows=random.integers(60, 90, 24).astype(np.float64),
        growth=random.uniform(3.0, 5.0, 24),
        offset=random.normal(0.0, 0.5, (24, 2)),
        step=ways + random.normal(0.0, 0.3, (24, 2)),
        noise=noise * random.standard_normal((500, 2)),
    )


def test_how_a_life_wore_is_found_again() -> None:
    share = np.arange(10, 201) / 200.0
    noise = 0.05 * np.random.default_rng(6).standard_normal((191, 2))
    readings = np.array([1.0, -2.0]) + curve(np.array(4.0), share)[:, None] * np.array([8.0, -3.0]) + noise
    found = worn([readings], [share], [200.0])
    assert found.growth[0] == pytest.approx(4.0, abs=0.26)
    np.testing.assert_allclose(found.offset[0], [1.0, -2.0], atol=0.1)
    np.testing.assert_allclose(found.step[0], [8.0, -3.0], atol=0.15)
    np.testing.assert_allclose(found.noise, noise, atol=0.06)
    assert curve(np.array(4.0), np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_a_machine_that_is_not_moved_is_remembered_as_the_device_remembers_it() -> None:
    step, still = np.array([[5.0, 1.0]] * 2), np.zeros((2, 2))
    one = Worn(windows=np.full(2, 40.0), growth=np.full(2, 3.0), offset=still, step=step, noise=still)
    seen, left_s = made_up(one, 1, VIEW, window_s=HOUR_S, moved=0.6, random=np.random.default_rng(0))
    memory, share = Memory(("x", "y"), MemoryConfig(channels=("all",), lengths=(1.0, 6.0), start_windows=4)), 1 / 40
    readings = curve(np.array(3.0), share * np.arange(1, 41))[:, None] * step[0]
    said = [memory.update(t * HOUR_S, {"all": row}) for t, row in enumerate(readings)]
    np.testing.assert_allclose(seen, np.stack([s for s in said if s is not None]), rtol=1e-6)
    assert left_s.tolist() == [(39 - t) * HOUR_S for t in range(3, 40)]


def test_ways_to_fail_are_not_mixed_and_lives_stay_in_reach() -> None:
    real = fleet(noise=0.1)
    seen, left_s = made_up(real, 300, VIEW, window_s=HOUR_S, moved=0.6, random=np.random.default_rng(1))
    ends = seen[left_s == 0]
    assert len(ends) == 300
    assert (np.abs(np.abs(ends[:, 1]) - 4.0) < 3.0).all()  # the second direction, as read: up or down, never between
    assert 0.3 < (ends[:, 1] > 0).mean() < 0.7
    hours = np.round(np.expm1(ends[:, -1])) + 1.0
    assert hours.min() >= np.floor(real.windows.min() / 1.5)
    assert hours.max() <= np.ceil(real.windows.max() * 1.5)
    assert len(np.unique(hours)) > len(np.unique(real.windows)) + 5  # lives that no machine had
    again, _ = made_up(real, 300, VIEW, window_s=HOUR_S, moved=0.6, random=np.random.default_rng(1))
    np.testing.assert_array_equal(seen, again)


def test_a_view_without_the_readings_themselves_is_refused() -> None:
    view = MemoryConfig(channels=("a",), lengths=(1.5, 5.0))
    few = np.zeros(2)
    lives = [Life(f"M{i}", np.zeros((2, 4), np.float32), few, few, few.astype(np.float32)) for i in range(10)]
    with pytest.raises(WrongUse, match=r"first length is 1.5"):
        train_fleet(Dataset((), tuple(lives), "", ()), FleetConfig(view=view, cap_s=HOUR_S), seed=0, say=print)
