"""Like is compared with like: a change of speed or load is no fault, and a new regime excuses none."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from edge.detection import Detector
from edge.detection.regime import ANY, RegimeWatch
from edge.detection.settling import BLOCK_NS, FIRST_BLOCKS, Settling, spread_of_returns
from edge.features import Extractor
from edge.sensors.simulator import Simulator
from edge.types import Channel, ChannelKind, FeatureRow, Kind, Machine, Schema, Window

SLOW = Schema(("level@1", "rate@1"), ("=", "=/min"))


def driven(fleet, *names: str) -> Machine:
    slow = tuple(Channel(name=n, kind=ChannelKind.SCALAR, unit="rpm", rate_hz=1.0) for n in names)
    return Machine(name="P-101", machine_class="pump", channels=(*fleet.machine.channels, *slow))


def level(channel: str, value: float) -> FeatureRow:
    return FeatureRow(channel, Kind.SCALARS, SLOW, np.array([value, 0.0], np.float32))


def run(fleet, detector: Detector, speed: float, factor: float, count: int, first: int) -> list[tuple[int, str]]:
    told = []
    for i in range(first, first + count):
        rows = [*fleet.rows(factor), level("speed", speed)]
        told += [(i, a.part) for a in detector.update(fleet.window(i), rows)[1]]
    return told


def test_a_machine_that_runs_faster_and_louder_is_not_raised_where_a_channel_tells_its_speed(fleet):
    blind, seeing = fleet.detector(), Detector(driven(fleet, "speed"), fleet.detector().config)
    for detector, raised in ((seeing, False), (blind, True)):
        told = run(fleet, detector, 1000.0, 1.0, 30, 0) + run(fleet, detector, 2000.0, 2.5, 60, 30)
        told += run(fleet, detector, 1000.0, 1.0, 30, 90)
        assert bool(told) is raised


@pytest.mark.parametrize("speed", [1000.0, 2000.0])
def test_a_machine_that_fails_is_raised_in_whatever_regime_it_knows(fleet, speed):
    detector = Detector(driven(fleet, "speed"), fleet.detector().config)
    run(fleet, detector, 1000.0, 1.0, 30, 0)
    run(fleet, detector, 2000.0, 2.5, 30, 30)
    assert run(fleet, detector, speed, 2.5 * speed / 1000.0, 60, 60)


def test_a_new_regime_does_not_excuse_a_failure(fleet):
    detector = Detector(driven(fleet, "speed"), fleet.detector().config)
    run(fleet, detector, 1000.0, 1.0, 30, 0)
    assert run(fleet, detector, 1200.0, 8.0, 60, 30), "acceleration goes with the square of the speed, not more"


def test_a_suspicious_machine_takes_its_deviation_along_into_a_new_regime(fleet):
    """On the way to a failure, at 4 of 5.1 robust z, the speed falls: the new start must not count as healthy."""
    suspicious, healthy = (Detector(driven(fleet, "speed"), fleet.detector().config) for _ in range(2))
    for detector, factor in ((suspicious, 1.5), (healthy, 1.1)):
        assert run(fleet, detector, 1000.0, 1.0, 30, 0) + run(fleet, detector, 1000.0, factor, 60, 30) == []
        assert run(fleet, detector, 600.0, 0.8 * factor, 20, 90) == []
    assert suspicious.update(fleet.window(110), [*fleet.rows(1.2), level("speed", 600.0)])[0] == pytest.approx(4, 0.1)
    assert run(fleet, suspicious, 600.0, 0.8 * 1.8, 40, 111), "1.8 times louder than healthy"
    assert run(fleet, healthy, 600.0, 0.8 * 1.8 / 1.5, 40, 111) == []


def test_at_standstill_nothing_is_judged_and_nothing_is_learned(fleet):
    detector = Detector(driven(fleet, "speed"), fleet.detector().config)
    told = run(fleet, detector, 1000.0, 1.0, 30, 0) + run(fleet, detector, 0.0, 0.05, 50, 30)
    assert told + run(fleet, detector, 1000.0, 1.0, 50, 80) == []
    assert run(fleet, detector, 1000.0, 3.0, 50, 130)


def test_a_window_whose_speed_is_not_told_is_not_judged(fleet):
    watch = RegimeWatch(driven(fleet, "speed"))
    assert watch.of(fleet.rows(1.0)) is None
    assert watch.of([level("speed", np.nan)]) is None
    assert RegimeWatch(fleet.machine).of(fleet.rows(1.0)) == ANY


def test_a_restart_in_the_middle_of_a_regime_changes_nothing(fleet):
    machine = driven(fleet, "speed")
    whole, first = (Detector(machine, fleet.detector().config) for _ in range(2))
    for detector in (whole, first):
        run(fleet, detector, 1000.0, 1.0, 30, 0)
        run(fleet, detector, 2000.0, 2.0, 3, 30)
    second = Detector(machine, first.config)
    second.load(first.dump())
    speeds = [(2000.0, 2.0)] * 20 + [(1000.0, 1.1)] * 20
    for i, (speed, factor) in enumerate(speeds):
        given = fleet.window(40 + i), [*fleet.rows(factor), level("speed", speed)]
        assert whole.update(*given)[0] == second.update(*given)[0]


def test_only_what_came_back_widens_the_normal_spread():
    hours = np.arange(72.0)
    daily = 0.3 * (1.0 - np.cos(2 * np.pi * hours / 24.0))
    growing = 0.6 * hours / 72.0
    spread = spread_of_returns(np.stack([daily, growing, np.where(hours < 30, 0.0, 0.6)], axis=1))
    assert spread == pytest.approx([0.2, 0.0, 0.0])


def test_nothing_is_widened_within_the_first_day():
    settling = Settling(1)
    learned = [
        settling.update(hour * BLOCK_NS + window, np.array([float(hour % 2)]))
        for hour in range(FIRST_BLOCKS + 1)
        for window in range(30)
    ]
    assert [i for i, x in enumerate(learned) if x is not None] == [FIRST_BLOCKS * 30]


@pytest.mark.parametrize("seed", [1, 5])
def test_a_healthy_simulated_machine_may_change_speed_and_load(seed):
    simulator = Simulator("m", seed, "none", 10.0, every_s=60.0, speed=None, regimes=True)
    extractor, detector = Extractor(simulator.machine), Detector(simulator.machine)
    told, speeds = [], []
    for window in islice(simulator.windows(), 700):
        checked: Window = detector.check(window)
        told += detector.update(checked, extractor.extract(checked))[1]
        speeds.append(float(window.samples["speed"][0]))
    assert told == []
    assert max(speeds) > 1.2 * min(speeds)
