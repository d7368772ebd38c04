from __future__ import annotations

import numpy as np
import pytest

from training.labels import Maintenance, Span, degradation_target, split_lives

TIMES = np.arange(0, 100, 10, dtype=np.int64)


def event(time_ns: int, what: str) -> Maintenance:
    return Maintenance(time_ns, "M", what)


def test_a_life_runs_from_the_first_window_to_the_failure() -> None:
    assert split_lives(TIMES, [event(75, "failed")]) == [Span(0, 75)]


def test_a_machine_without_a_failure_has_no_life_to_learn_from() -> None:
    assert split_lives(TIMES, [event(40, "replaced"), event(50, "inspected_good")]) == []


def test_a_replacement_ends_one_life_without_a_failure_and_begins_the_next() -> None:
    assert split_lives(TIMES, [event(35, "replaced"), event(90, "failed")]) == [Span(40, 90)]


def test_what_lies_between_a_failure_and_the_repair_belongs_to_no_life() -> None:
    history = [event(90, "failed"), event(55, "repaired"), event(30, "failed")]
    assert split_lives(TIMES, history) == [Span(0, 30), Span(60, 90)]


def test_a_failure_that_is_reported_twice_counts_once() -> None:
    assert split_lives(TIMES, [event(30, "failed"), event(40, "failed")]) == [Span(0, 30)]


def test_an_inspection_that_found_nothing_changes_nothing() -> None:
    assert split_lives(TIMES, [event(20, "inspected_good"), event(75, "failed")]) == [Span(0, 75)]


def test_degradation_is_zero_in_the_healthy_share_and_one_at_the_failure() -> None:
    target = degradation_target(np.array([0.0, 0.5, 0.75, 1.0]), 0.5)
    assert target.tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0])
