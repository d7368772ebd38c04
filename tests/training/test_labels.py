from __future__ import annotations

import numpy as np
import pytest

from training.labels import HEALTHY, SENSOR, Labels, Maintenance, Span, Verdict, degradation_target

TIMES = np.arange(0, 100, 10, dtype=np.int64)


def event(time_ns: int, what: str) -> Maintenance:
    return Maintenance(time_ns, "M", what)


def lives(*history: Maintenance) -> list[Span]:
    return Labels(history).lives(TIMES)


def test_a_life_runs_from_the_first_window_to_the_failure() -> None:
    assert lives(event(75, "failed")) == [Span(0, 75, failed=True)]


def test_a_machine_without_a_failure_lives_as_long_as_its_windows_go() -> None:
    assert lives() == [Span(0, 90, failed=False)]


def test_a_replacement_ends_one_life_without_a_failure_and_begins_the_next() -> None:
    assert lives(event(35, "replaced"), event(90, "failed")) == [Span(0, 30, failed=False), Span(40, 90, failed=True)]


def test_what_lies_between_a_failure_and_the_repair_belongs_to_no_life() -> None:
    history = event(90, "failed"), event(55, "repaired"), event(30, "failed")
    assert lives(*history) == [Span(0, 30, failed=True), Span(60, 90, failed=True)]


def test_a_failure_that_is_reported_twice_counts_once() -> None:
    assert lives(event(30, "failed"), event(40, "failed")) == [Span(0, 30, failed=True)]


def test_an_inspection_ends_no_life_and_says_that_all_was_good_until_then() -> None:
    labels = Labels([event(25, "inspected_good"), event(75, "failed")])
    (life,) = labels.lives(TIMES)
    assert life == Span(0, 75, failed=True)
    assert TIMES[labels.good(TIMES, life)].tolist() == [0, 10, 20]


def test_an_inspection_says_nothing_of_an_earlier_life() -> None:
    labels = Labels([event(35, "repaired"), event(55, "inspected_good")])
    first, second = labels.lives(TIMES)
    assert not labels.good(TIMES, first).any()
    assert TIMES[labels.good(TIMES, second)].tolist() == [40, 50]


def test_a_verdict_is_of_its_machine_and_its_alarm_alone() -> None:
    labels = Labels(verdicts=[Verdict(20, 40, "M", HEALTHY, "a"), Verdict(60, 70, "M", SENSOR, "b")])
    here, elsewhere = labels.of("a", "M"), labels.of("a", "N")
    assert TIMES[here.found(TIMES, (HEALTHY,))].tolist() == [20, 30, 40]
    assert TIMES[here.good(TIMES, here.lives(TIMES)[0])].tolist() == [20, 30, 40]
    assert not here.found(TIMES, (SENSOR,)).any()
    assert elsewhere == Labels([], [])


def test_degradation_is_zero_in_the_healthy_share_and_one_at_the_failure() -> None:
    target = degradation_target(np.array([0.0, 0.5, 0.75, 1.0]), 0.5)
    assert target.tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0])
