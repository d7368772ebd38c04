from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edge.detection.latch import Latch
from edge.detection.trigger import ACT, NORMAL, WARN, Limits, Trigger
from edge.types import AlarmChange

LIMITS = Limits(warn=5.0, act=10.0, deadband=1.0, on_delay=3, off_delay=5)
# around the limits, on them, far away, and nothing
values = st.lists(st.sampled_from([0.0, 3.9, 4.0, 4.5, 5.0, 7.0, 9.9, 10.0, 40.0, None, float("nan")]), max_size=120)


def judged_of(found: list[float | None]) -> list[float]:
    return [v for v in found if v is not None and not math.isnan(v)]


def levels(found: list[float | None], limits: Limits = LIMITS) -> list[int]:
    trigger = Trigger()
    return [trigger.update(v, limits) for v in found]


def test_a_level_rises_after_the_on_delay_and_falls_after_the_off_delay():
    assert levels([6, 6, 6]) == [0, 0, WARN]
    assert levels([6, 6, 0, 6, 6]) == [0] * 5
    assert levels([6] * 3 + [0] * 5)[-2:] == [WARN, NORMAL]
    assert levels([12] * 3) == [0, 0, ACT]


def test_within_the_deadband_an_alarm_stays():
    assert levels([6] * 3 + [4.0] * 50)[-1] == WARN
    assert levels([6] * 3 + [3.9] * 5)[-1] == NORMAL


def test_an_alarm_worsens_once_and_does_not_improve_by_halves():
    assert levels([6] * 3 + [11] * 3 + [6] * 20)[-1] == ACT


@given(values)
def test_a_condition_never_flaps(found):
    """Between a rise from normal and the return lie at least off_delay windows, and on_delay before the next rise."""
    seen = levels(found)
    judged = [(v, lv) for v, lv in zip(found, seen, strict=True) if v is not None and not math.isnan(v)]
    since = LIMITS.on_delay
    before = NORMAL
    for _, level in judged:
        if before != NORMAL and level == NORMAL:
            assert since >= LIMITS.off_delay
            since = 0
        elif before == NORMAL and level != NORMAL:
            assert since >= LIMITS.on_delay - 1
            since = 0
        else:
            assert level >= before
            since += 1
        before = level


@given(values)
def test_a_level_is_reached_only_over_windows_that_passed_its_limit(found):
    judged = judged_of(found)
    seen = levels(judged)
    for i, level in enumerate(seen):
        if level > (seen[i - 1] if i else NORMAL):
            assert min(judged[i - LIMITS.on_delay + 1 : i + 1]) >= LIMITS.of(level)
            assert i >= LIMITS.on_delay - 1


@given(values)
def test_windows_that_say_nothing_change_nothing(found):
    judged = judged_of(found)
    assert (levels(found) or [0])[-1] == (levels(judged) or [0])[-1]


@given(st.lists(st.one_of(st.sampled_from([NORMAL, WARN, ACT]), st.just("acknowledge")), max_size=80))
def test_at_most_one_alarm_is_alive_and_its_changes_are_in_order(steps):
    latch = Latch("P-101")
    told: list[tuple[str, AlarmChange]] = []
    acknowledged: set[str] = set()
    for step in steps:
        if step == "acknowledge":
            if latch.acknowledge(latch.key):
                acknowledged.add(latch.key)
        elif (change := latch.update(step)) is not None:
            told.append((latch.key, change))
    open_key = None
    last_of: dict[str, AlarmChange] = {}
    for key, change in told:
        if change is AlarmChange.RAISED:
            assert open_key is None
            open_key = key
        else:
            assert key == open_key
            if change is AlarmChange.WORSENED:
                assert last_of[key] is AlarmChange.RAISED
            else:
                open_key = None
        last_of[key] = change
    if not acknowledged:
        assert len(last_of) <= 1, "an alarm that nobody has seen is not raised a second time under another key"


def test_what_returns_before_it_is_acknowledged_is_the_same_alarm_and_after_it_a_new_one():
    latch = Latch("P-101")
    latch.update(WARN)
    first = latch.key
    latch.update(NORMAL)
    assert latch.update(WARN) is AlarmChange.RAISED
    assert latch.key == first
    assert latch.acknowledge(first)
    assert not latch.acknowledge("another")
    latch.update(NORMAL)
    latch.update(WARN)
    assert latch.key != first


def test_two_lives_of_one_machine_share_no_key():
    """A store that was lost and a recording replayed twice must not be merged into an alarm of before."""
    keys = set()
    for _ in range(20):
        latch = Latch("P-101")
        latch.update(WARN)
        keys.add(latch.key)
    assert len(keys) == 20
