"""The state machine of an alert, without clock or database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.alerts import rules
from cloud.alerts.rules import Work
from cloud.alerts.types import Change, Outcome, State
from models.errors import WrongUse

NEW = Work(State.NEW, active=True, severity="C")
CLOSED = Work(State.RESOLVED, active=False, severity="C", outcome=Outcome.NOT_A_FAULT)


def test_a_raised_alarm_is_new_and_active():
    assert rules.first(Change.RAISED, "C") == NEW


def test_an_alarm_that_returned_before_anyone_saw_it_still_waits_to_be_seen():
    work = rules.changed(NEW, Change.RETURNED, "C")
    assert work == Work(State.NEW, active=False, severity="C")
    assert rules.needs_action(work)


def test_a_seen_alarm_that_returned_needs_no_action():
    work = rules.changed(rules.acknowledged(NEW), Change.RETURNED, "C")
    assert not rules.needs_action(work)


def test_the_worst_severity_stays_when_the_device_says_less():
    assert rules.changed(Work(State.NEW, active=True, severity="D"), Change.RETURNED, "C").severity == "D"


def test_a_condition_that_worsens_after_it_was_closed_is_new_again():
    work = rules.changed(CLOSED, Change.WORSENED, "D")
    assert work == Work(State.NEW, active=True, severity="D", outcome=None)


def test_a_late_change_neither_opens_a_closed_alert_nor_ends_an_active_one():
    assert rules.changed(CLOSED, Change.RAISED, "B", late=True) == CLOSED
    assert rules.changed(NEW, Change.RETURNED, "D", late=True) == Work(State.NEW, active=True, severity="D")


def test_acknowledging_what_is_in_work_or_resolved_changes_nothing():
    for work in (rules.started(NEW), CLOSED):
        assert rules.acknowledged(work) == work


def test_work_on_a_resolved_alert_is_refused():
    with pytest.raises(WrongUse, match="resolved already"):
        rules.started(CLOSED)


def test_resolving_again_corrects_the_outcome():
    assert rules.resolved(CLOSED, Outcome.CONFIRMED).outcome is Outcome.CONFIRMED


@pytest.mark.parametrize("severity", ["", "E", "AB", "c"])
def test_a_severity_outside_the_zones_is_refused(severity):
    with pytest.raises(WrongUse, match="none of A, B, C, D"):
        rules.first(Change.RAISED, severity)


_taps = st.sampled_from([("acknowledge", None), ("start", None), *(("resolve", outcome) for outcome in Outcome)])
_changes = st.tuples(st.sampled_from(Change), st.sampled_from("ABCD"), st.booleans())


@given(st.lists(st.one_of(_taps, _changes), max_size=12))
def test_whatever_happens_the_invariants_hold(steps):
    work = NEW
    for step in steps:
        before = work
        if len(step) == 3:
            change, severity, late = step
            work = rules.changed(work, change, severity, late=late)
            reopened = before.state is State.RESOLVED and change is not Change.RETURNED and not late
            assert work.state is (State.NEW if reopened else before.state)
        elif step[0] == "acknowledge":
            work = rules.acknowledged(work)
        elif step[0] == "start" and work.state is not State.RESOLVED:
            work = rules.started(work)
        elif step[0] == "resolve":
            work = rules.resolved(work, step[1])
        if len(step) == 2:
            assert (work.active, work.severity) == (before.active, before.severity), (
                "the crew never writes the device's"
            )
        assert work.severity >= before.severity
        assert (work.outcome is not None) == (work.state is State.RESOLVED)
