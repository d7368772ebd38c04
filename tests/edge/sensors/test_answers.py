"""When a broker's messages are answered: in their order, once kept, and not so late that it waits for ever."""

from __future__ import annotations

import pytest

from edge.sensors.answers import Answers


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(clock: Clock) -> Answers:
    return Answers(clock)


def test_a_message_is_answered_once_its_window_is_kept_and_in_the_order_they_came(answers: Answers) -> None:
    for number, until_ns in ((1, 100), (2, 0), (3, 200), (4, 0)):
        answers.came(number).until_ns = until_ns
    assert list(answers.due(99)) == []
    assert list(answers.due(100)) == [1, 2]
    assert list(answers.due(100)) == []
    assert list(answers.due(200)) == [3, 4]
    assert len(answers) == 0


def test_the_parts_of_a_measurement_wait_for_it_and_the_first_of_the_next_does_not_count(answers: Answers) -> None:
    answers.came(1)
    last = answers.came(2)
    answers.complete(100, but=last)
    assert list(answers.due(100)) == [1]
    answers.complete(200, but=None)
    assert list(answers.due(199)) == []
    assert list(answers.due(200)) == [2]


def test_a_part_whose_measurement_does_not_come_is_answered_after_a_second(answers: Answers, clock: Clock) -> None:
    answers.came(1)
    clock.s = 0.9
    answers.came(2)
    assert list(answers.due(0)) == []
    clock.s = 1.1
    assert list(answers.due(0)) == [1]
    clock.s = 2.0
    assert list(answers.due(0)) == [2]
