"""When a copy of what was learned is due, and when an earlier one is asked for: rules."""

from __future__ import annotations

import pytest

from edge.carry.schedule import Copies
from edge.types import Alarm, AlarmChange

HOUR = 3600 * 10**9


def alarm(part: str) -> Alarm:
    return Alarm(
        key="P-101/1",
        change=AlarmChange.RAISED,
        machine="P-101",
        channel="",
        time_ns=0,
        severity="C",
        confidence="sure",
        part=part,
        fault="",
        source="baseline",
        score=1.0,
        threshold=1.0,
    )


def due(copies: Copies, hour: float, *, learned: bool = True, part: str = "") -> bool:
    return copies.due(round(hour * HOUR), learned=learned, alarms=[alarm(part)] if part else [])


def test_a_copy_is_due_when_learning_ends_and_then_once_a_period() -> None:
    copies = Copies(24.0, live=True)
    assert [due(copies, h, learned=False) for h in (0, 30)] == [False, False]
    assert [due(copies, h) for h in (31, 31.1, 54.9, 55, 55.1, 79)] == [True, False, False, True, False, True]
    assert due(copies, -9000)  # a clock that was set back does not end it


def test_a_machine_that_begins_anew_says_so_at_once_and_again_when_it_has_learned() -> None:
    copies = Copies(24.0, live=True)
    assert due(copies, 0)
    copies.begin_anew()
    assert [due(copies, h, learned=False) for h in (1, 1.1, 50)] == [True, False, False]
    assert due(copies, 51)


def test_an_alarm_of_the_machine_makes_a_copy_due_and_one_of_a_sensor_does_not() -> None:
    copies = Copies(24.0, live=True)
    assert due(copies, 0)
    assert not due(copies, 1, part="sensor")
    assert due(copies, 1, part="bearing")
    assert not due(copies, 24)  # the period begins with the last copy


def test_a_copy_that_was_not_kept_is_due_again_with_the_next_window() -> None:
    copies = Copies(24.0, live=True)
    copies.begin_anew()
    assert due(copies, 0, learned=False)
    copies.lost()
    assert due(copies, 0.1, learned=False)
    assert not due(copies, 0.2, learned=False)


def test_an_earlier_copy_is_asked_for_until_the_machine_has_learned_or_begins_anew_also_over_a_restart() -> None:
    copies = Copies(24.0, live=True)
    copies.restore(None, known=False)
    assert copies.asking
    due(copies, 0, learned=False)
    again = Copies(24.0, live=True)
    again.restore(copies.state(), known=True)
    assert again.asking
    due(again, 1)
    copies.begin_anew()
    assert not again.asking
    assert not copies.asking
    for one in (copies, again):
        later = Copies(24.0, live=True)
        later.restore(one.state(), known=True)
        assert not later.asking


def test_a_store_of_before_there_were_copies_asks_for_none_and_sends_its_first() -> None:
    copies = Copies(24.0, live=True)
    copies.restore(None, known=True)
    assert not copies.asking
    assert due(copies, 0)


@pytest.mark.parametrize(("hours", "live"), [(0.0, True), (24.0, False)])
def test_a_recording_or_a_period_of_0_neither_sends_nor_asks(hours: float, live: bool) -> None:
    copies = Copies(hours, live=live)
    copies.restore(b'{"asking": true}', known=False)
    copies.begin_anew()
    assert not copies.asking
    assert not due(copies, 0, part="bearing")
