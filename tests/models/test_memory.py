from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from models.memory import Memory, MemoryConfig

CONFIG = MemoryConfig(channels=("a", "b"), lengths=(1.0, 4.0), start_windows=3)
Window = dict[str, NDArray[np.float32]]


def windows(count: int, seed: int = 0) -> list[Window]:
    values = np.random.default_rng(seed).normal(5.0, 1.0, (count, 2)).astype(np.float32)
    return [{"a": row[:1], "b": row[1:]} for row in values]


def run(memory: Memory, said: list[Window], first: int = 0) -> list[bytes | None]:
    found = [memory.update(3600.0 * (first + i), w) for i, w in enumerate(said)]
    return [None if f is None else f.tobytes() for f in found]


def test_each_channel_is_remembered_beside_its_start_and_the_age() -> None:
    memory = Memory(("level@1",), CONFIG)
    said = windows(40)
    condition = [memory.update(3600.0 * i, w) for i, w in enumerate(said)][-1]
    assert condition is not None
    assert len(condition) == len(memory.inputs) == 2 * 3 + 1
    series = np.array([[w["a"][0], w["b"][0]] for w in said], np.float64)
    weights = 0.75 ** np.arange(39, -1, -1)
    longer = (weights[:, None] * series).sum(axis=0) / weights.sum()
    wanted = [*series[-1], *longer, *series[:3].mean(axis=0), math.log1p(39.0)]
    np.testing.assert_allclose(condition, wanted, rtol=1e-6)


def test_there_is_no_condition_before_the_start_is_known_or_a_channel_was_seen() -> None:
    memory = Memory(("level@1",), CONFIG)
    only_a = [{"a": w["a"]} for w in windows(5)]
    assert run(memory, only_a) == [None] * 5
    assert memory.learned
    assert run(memory, windows(1), first=5)[0] is not None
    assert [f is None for f in run(Memory(("level@1",), CONFIG), windows(4))] == [True, True, False, False]


def test_a_value_that_is_missing_or_not_finite_leaves_its_series_as_it_was() -> None:
    one, other, said = Memory(("level@1",), CONFIG), Memory(("level@1",), CONFIG), windows(6)
    run(one, said)
    run(other, said)
    nothing = {"a": said[0]["a"], "b": np.array([math.nan], np.float32)}
    absent = {"a": said[0]["a"]}
    found = one.update(9e4, nothing)
    assert found is not None
    np.testing.assert_array_equal(found, other.update(9e4, absent))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("cut", [1, 2, 3, 17])
def test_a_restart_and_a_cut_change_nothing(cut: int) -> None:
    said = windows(30)
    whole = run(Memory(("level@1",), CONFIG), said)
    first = Memory(("level@1",), CONFIG)
    assert run(first, said[:cut]) == whole[:cut]
    second = Memory(("level@1",), CONFIG)
    second.load(first.dump())
    assert run(second, said[cut:], first=cut) == whole[cut:]


@pytest.mark.parametrize(
    "change",
    [{"channels": ()}, {"channels": ("a", "a")}, {"lengths": ()}, {"lengths": (0.5,)}, {"start_windows": 0}],
)
def test_useless_settings_are_named(change: dict[str, object]) -> None:
    assert CONFIG.problem() == ""
    assert msgspec.structs.replace(CONFIG, **change).problem()
