from __future__ import annotations

import numpy as np
import pytest

from edge.detection.sensors import scalar_fault, waveform_fault
from edge.sensors.simulator import Simulator
from edge.types import AlarmChange, Quality, Window

RANDOM = np.random.default_rng(3)
SOUND = RANDOM.standard_normal(2560).astype(np.float32)
TIME = np.arange(2560) / 25_600.0


def spoiled(part: slice, value: float) -> np.ndarray:
    samples = SOUND.copy()
    samples[part] = value
    return samples


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (SOUND, ""),
        (np.sin(2 * np.pi * 50 * TIME).astype(np.float32), ""),
        (np.round(SOUND * 0.7), ""),  # a coarse converter: 1.6 % of the samples at either end
        (np.round(SOUND * 0.2), ""),  # a coarser one: nearly all samples equal their neighbours
        (np.round(SOUND * 400) / 400, ""),
        (np.zeros(2560, np.float32), "dead"),
        (np.full(2560, 0.7, np.float32), "dead"),
        (spoiled(slice(0, 1400), 0.2), "stuck"),
        (spoiled(slice(0, 900), 0.2), ""),
        (SOUND.clip(-1.5, 1.5), "clipped"),
        (SOUND.clip(-9, 1.5), "clipped"),
        (SOUND.clip(-1.5, 9), "clipped"),
        (SOUND * np.tile(np.repeat([1.0, 1e-3], 320), 4), "intermittent"),
        (spoiled(slice(9, 10), 80.0), "spikes"),
        (spoiled(slice(9, 12), 80.0), ""),  # three samples high: no single sample, a short strike
        (spoiled(slice(9, 10), np.nan), "dropout"),
        (spoiled(slice(9, 10), np.inf), "dropout"),
        (spoiled(slice(9, 10), -np.inf), "dropout"),
    ],
)
def test_a_sensor_fault_is_seen_in_its_samples(samples, fault):
    assert waveform_fault(np.asarray(samples, np.float32)) == fault


@pytest.mark.parametrize("size", [64, 256, 512])
def test_a_short_window_of_a_sound_sensor_shows_no_fault(size):
    smooth = np.fft.rfft(RANDOM.standard_normal((300, 4 * size)))
    smooth[:, size // 8 :] = 0.0  # 1/16 of Nyquist: a machine that is measured at 1 kHz
    windows = [*RANDOM.standard_normal((300, size)), *np.fft.irfft(smooth)[:, size : 2 * size]]
    assert {waveform_fault(w.astype(np.float32)) for w in windows} == {""}


def test_a_simulated_life_of_a_bearing_shows_no_sensor_fault():
    simulator = Simulator("m", seed=4, fault="outer_race", life_s=2000.0, speed=None)
    found = {waveform_fault(w.samples[a]) for w in simulator.windows() for a in ("horizontal", "vertical")}
    assert found == {""}


@pytest.mark.parametrize(
    ("samples", "fault"),
    [(np.zeros(256), "dead"), (np.full(256, np.nan), "dropout"), (1e3 * SOUND.clip(-1, 1), "clipped")],
)
def test_a_faulty_sensor_has_an_alarm_of_its_own_and_no_say_about_the_machine(fleet, changes, samples, fault):
    detector = fleet.detector()
    fleet.run(detector, [1.0] * 20)
    broken = np.asarray(samples, np.float32)
    steps = [
        detector.update(fleet.window(20 + i, v=broken), [*fleet.rows(1.0, "h"), *fleet.rows(50.0, "v")])
        for i in range(50)
    ]
    ((at, alarm),) = changes(steps)
    assert (at, alarm.change, alarm.part, alarm.fault, alarm.channel) == (2, AlarmChange.RAISED, "sensor", fault, "v")
    healed = fleet.run(detector, [1.0] * 20, first=70)
    assert [(a.change, a.key) for _, a in changes(healed)] == [(AlarmChange.RETURNED_TO_NORMAL, alarm.key)]


def test_when_every_sensor_is_dead_an_open_alarm_stays_open(fleet, changes):
    detector = fleet.detector()
    fleet.run(detector, [1.0] * 20 + [2.0] * 20)
    dead = np.zeros(256, np.float32)
    steps = [detector.update(fleet.window(40 + i, h=dead, v=dead), fleet.rows(1e-6)) for i in range(100)]
    assert {a.part for _, a in changes(steps)} == {"sensor"}


def test_when_every_sensor_goes_dead_within_the_on_delay_nothing_is_raised_for_the_machine(fleet, changes):
    detector = fleet.detector(on_delay_windows=10)
    fleet.run(detector, [1.0] * 20 + [6.0] * 5)
    dead = np.zeros(256, np.float32)
    steps = [detector.update(fleet.window(25 + i, h=dead, v=dead), fleet.rows(6.0)) for i in range(100)]
    assert {a.part for _, a in changes(steps)} == {"sensor"}


def test_a_dead_sensor_is_not_learned_as_a_healthy_start(fleet, changes):
    detector = fleet.detector()
    dead = np.zeros(256, np.float32)
    for i in range(20):
        detector.update(fleet.window(i, h=dead, v=dead), fleet.rows(1e-9))
    told = changes(fleet.run(detector, [1.0] * 100, first=20))
    assert {a.change for _, a in told} == {AlarmChange.RETURNED_TO_NORMAL}


def test_a_checked_window_says_which_channels_are_faulty(fleet):
    detector = fleet.detector()
    good = fleet.window(0)
    assert detector.check(good) is good
    marked = detector.check(fleet.window(1, v=np.zeros(256, np.float32)))
    assert marked.quality_of("v") & Quality.SENSOR_FAULT
    assert not marked.quality_of("h") & Quality.SENSOR_FAULT


@pytest.mark.parametrize(
    ("level", "fault"), [(1254.0, "dropout"), (np.nan, "dropout"), (-200.0, "dropout"), (95.0, "")]
)
def test_a_temperature_that_no_bearing_has_is_a_fault_of_its_sensor(level, fault):
    assert scalar_fault(np.array([40.0, level, 41.0], np.float32), "C") == fault


def test_a_contact_that_comes_and_goes_is_raised_once(fleet, changes):
    detector = fleet.detector()
    fleet.run(detector, [1.0] * 20)
    dead = np.zeros(256, np.float32)
    steps = [
        detector.update(fleet.window(20 + i, v=dead) if i % 3 else fleet.window(20 + i), fleet.rows(1.0))
        for i in range(60)
    ]
    ((at, alarm),) = changes(steps)
    assert (alarm.part, alarm.channel) == ("sensor", "v")
    assert at < 12


def test_a_fault_once_in_a_while_is_not_raised(fleet, changes):
    detector = fleet.detector()
    dead = np.zeros(256, np.float32)
    told = [detector.update(fleet.window(i, **({} if i % 6 else {"v": dead})), fleet.rows(1.0)) for i in range(60)]
    assert changes(told) == []


def test_a_fault_that_the_source_reports_is_a_dropout(fleet, changes):
    detector = fleet.detector()
    good = fleet.window(0)
    steps = [
        detector.update(
            Window(
                machine="P-101",
                time_ns=i,
                samples=good.samples,
                quality=Quality.SENSOR_FAULT,
                faulty=frozenset({"t"}),
            ),
            fleet.rows(1.0),
        )
        for i in range(5)
    ]
    ((_, alarm),) = changes(steps)
    assert (alarm.channel, alarm.fault) == ("t", "dropout")


def test_a_window_without_a_channel_says_nothing_of_its_sensor(fleet, changes):
    detector = fleet.detector()
    empty = Window(machine="P-101", time_ns=0, samples={})
    assert changes([detector.update(empty, []) for _ in range(50)]) == []
