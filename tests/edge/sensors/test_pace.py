"""A source keeps its own time at any speed, and closing it ends every wait."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path

import pytest

from edge.sensors.pace import Pace
from edge.sensors.recording import Reading, Recording, Replay
from edge.sensors.simulator import Simulator
from models.errors import WrongUse


class FakeTime:
    """A clock that moves only when something waits for it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return event.is_set()


def pace_in(time: FakeTime, speed: float | None) -> Pace:
    return Pace(speed, now=lambda: time.now, wait=time.wait)


@pytest.mark.parametrize("speed", [1.0, 60.0, 0.5])
def test_windows_fall_due_in_the_sources_time_divided_by_the_speed(speed: float) -> None:
    time = FakeTime()
    pace = pace_in(time, speed)
    assert all(pace.until(offset) for offset in (5.0, 15.0, 25.0))
    assert time.waits == pytest.approx([10.0 / speed, 10.0 / speed])


def test_time_lost_by_a_slow_consumer_is_caught_up() -> None:
    time = FakeTime()
    pace = pace_in(time, 1.0)
    pace.until(0.0)
    time.now += 17.0
    pace.until(10.0)
    pace.until(20.0)
    assert time.waits == [pytest.approx(3.0)]


@pytest.mark.parametrize("kind", ["simulator", "recording"])
def test_what_an_earlier_run_took_is_passed_over_without_waiting_for_its_time(kind: str) -> None:
    time = FakeTime()
    simulator = Simulator("P-101", 3, "none", speed=60.0, pace=pace_in(time, 60.0), samples=64)
    sensor = simulator
    if kind == "recording":
        readings = [Reading(i * 10_000_000_000, {}) for i in range(200)]
        recording = Recording(machine=simulator.machine, path=Path("none"), read=lambda: iter(readings))
        sensor = Replay(recording, pace_in(time, 60.0), simulator.start_ns)
    sensor.resume(simulator.start_ns + 1_000_000_000_000)  # windows 0 to 100 were taken
    windows = list(islice(sensor.windows(), 3))
    assert [(w.time_ns - simulator.start_ns) // 10_000_000_000 for w in windows] == [101, 102, 103]
    assert time.waits == pytest.approx([10.0 / 60.0, 10.0 / 60.0])  # none before the first


def test_without_a_speed_nothing_waits() -> None:
    time = FakeTime()
    pace = pace_in(time, None)
    assert pace.until(0.0)
    assert pace.until(1e9)
    assert time.waits == []


def test_closing_ends_a_wait_at_once() -> None:
    pace = Pace(1.0)
    assert pace.until(0.0)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(pace.until(3600.0)))
    waiter.start()
    pace.close()
    waiter.join(timeout=5.0)
    assert answers == [False]


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_not_above_zero_is_refused(speed: float) -> None:
    with pytest.raises(WrongUse, match="speed"):
        Pace(speed)
