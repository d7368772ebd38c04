"""What is wrong between a sensor and its channel is the sensor's, and the machine is not accused of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edge.detection import Detector
from edge.features import Extractor
from edge.sensors.simulator import Simulator
from edge.types import Alarm, AlarmChange, FloatArray

Spoil = Callable[[dict[str, FloatArray]], dict[str, FloatArray]]
RANDOM = np.random.default_rng(5)


def told(spoil: Spoil, *, regimes: bool, fault: str = "none", windows: int = 100) -> list[Alarm]:
    """The alarms of a healthy start of 60 windows, then of `windows` that are spoiled."""
    simulator = Simulator("m", 3, fault, speed=None, regimes=regimes)
    extractor, detector, alarms = Extractor(simulator.machine), Detector(simulator.machine), []
    for i in range(60 + windows):
        window = simulator.window(i)
        if i >= 60:
            window = replace(window, samples=spoil(dict(window.samples)))
        window = detector.check(window)
        alarms += detector.update(window, extractor.extract(window))[1]
    return alarms


def dead(samples: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """3 mg of the converter's own noise."""
    noise = RANDOM.standard_normal(samples["vertical"].size).astype(np.float32)
    return {**samples, "vertical": 0.003 * noise}


def in_another_unit(samples: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {**samples, "vertical": samples["vertical"] * np.float32(9.80665)}


def swapped(samples: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {**samples, "vertical": samples["horizontal"], "horizontal": samples["vertical"]}


@pytest.mark.parametrize(
    ("spoil", "regimes", "fault", "channels"),
    [
        (dead, False, "dead", {"vertical"}),
        (dead, True, "dead", {"vertical"}),
        (in_another_unit, False, "unit", {"vertical"}),
        (swapped, True, "swapped", {"vertical", "horizontal"}),
    ],
)
def test_a_sensor_fault_that_only_the_healthy_start_shows_is_told_as_one(spoil, regimes, fault, channels):
    alarms = told(spoil, regimes=regimes)
    assert {(a.part, a.fault) for a in alarms} == {("sensor", fault)}
    assert {a.channel for a in alarms} == channels


def test_a_dead_sensor_stays_dead_in_regimes_that_were_never_heard_and_is_believed_once_it_is_mended():
    from_there_on = iter(range(400))
    alarms = told(lambda s: dead(s) if next(from_there_on) < 300 else s, regimes=True, windows=400)
    assert [(a.fault, a.change) for a in alarms] == [
        ("dead", AlarmChange.RAISED),
        ("dead", AlarmChange.RETURNED_TO_NORMAL),
    ]
    assert alarms[1].time_ns - alarms[0].time_ns > 300 * 10**10


def test_a_machine_that_stops_or_becomes_quieter_altogether_has_sound_sensors():
    assert (
        told(lambda s: {**s, "vertical": dead(s)["vertical"], "horizontal": dead(s)["vertical"]}, regimes=False) == []
    )
    assert told(lambda s: {**s, "vertical": s["vertical"] * np.float32(0.3)}, regimes=False) == []
