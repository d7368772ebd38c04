"""Lines of bearings are sought at the speed that was measured, or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.detection import DetectionConfig, Detector
from edge.features import Extractor
from edge.features.envelope_diagnosis import candidates
from edge.features.speed import ShaftSpeed
from edge.types import Alarm, Channel, ChannelKind, Machine, Window
from tests.edge.features.conftest import BEARING

RATE_HZ, SAMPLES = 12_000.0, 8192
VIBRATION = Channel(name="v", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=RATE_HZ)
SPEED = Channel(name="drive", kind=ChannelKind.SCALAR, unit="rpm", rate_hz=1.0)
TACHO = Channel(name="key", kind=ChannelKind.WAVEFORM, unit="pulse", rate_hz=RATE_HZ)
MACHINE = Machine(name="P", machine_class="x", channels=(VIBRATION, SPEED), speed_rpm=1800.0, bearing=BEARING)


def struck(hz: float, windows: int) -> np.ndarray:
    """(windows, samples): noise, and from the tenth window on impacts at `hz`."""
    rng = np.random.default_rng(3)
    n = windows * SAMPLES
    at = np.cumsum((1.0 + 0.005 * rng.standard_normal(int(n / RATE_HZ * hz))) / hz)
    blows = np.zeros(n)
    blows[(at[at < (n - 300) / RATE_HZ] * RATE_HZ).astype(int)] = 40.0
    blows[: 10 * SAMPLES] = 0.0
    t = np.arange(200) / RATE_HZ
    ringing = np.convolve(blows, np.exp(-t / 0.001) * np.sin(2 * np.pi * 3000 * t))[:n]
    return (ringing + rng.standard_normal(n)).astype(np.float32).reshape(windows, SAMPLES)


def window(i: int, samples: np.ndarray, **slow: float) -> Window:
    values = {n: np.array([v], np.float32) for n, v in slow.items()}
    return Window(machine="P", time_ns=round(i * SAMPLES / RATE_HZ * 1e9), samples={"v": samples, **values})


def told(machine: Machine, sounds: np.ndarray, rpm: float) -> list[Alarm]:
    extractor = Extractor(machine)
    detector = Detector(machine, DetectionConfig(baseline_windows=5, on_delay_windows=3))
    alarms: list[Alarm] = []
    for i, samples in enumerate(sounds):
        heard = window(i, samples, drive=rpm)
        alarms += detector.update(heard, extractor.extract(heard))[1]
    return alarms


@pytest.mark.parametrize("configured", [None, 1800.0])
@pytest.mark.parametrize("line", ["bpfo", "bpfi"])
def test_the_part_is_named_at_the_measured_speed_whatever_is_configured(configured, line):
    sounds = struck(candidates(BEARING, 1180.0)[line], 20)
    (alarm, *_) = told(replace(MACHINE, speed_rpm=configured), sounds, 1180.0)
    assert alarm.fault == {"bpfo": "outer_race", "bpfi": "inner_race"}[line]
    (where,) = (e for e in alarm.evidence if e.feature == f"frequency_{line}@1")
    assert where.baseline == pytest.approx(candidates(BEARING, 1180.0)[line], rel=0.003)


def test_every_windows_lines_are_those_of_the_measured_speed():
    (sounds,) = struck(candidates(BEARING, 1180.0)["bpfo"], 11)[10:]
    (measured, _) = Extractor(MACHINE).extract(window(0, sounds, drive=1180.0))
    alone = replace(MACHINE, channels=(VIBRATION,), speed_rpm=1180.0)
    (configured,) = Extractor(alone).extract(window(0, sounds))
    assert measured.schema == configured.schema
    assert measured.values == pytest.approx(configured.values, rel=0.02)


@pytest.mark.parametrize(
    "said", [[], [0.0], [np.nan], [1000.0, 1100.0]], ids=["silent", "standing", "not finite", "moving"]
)
def test_without_a_steady_speed_the_lines_are_absent(said):
    heard = window(0, struck(90.0, 1)[0])
    heard = replace(heard, samples={**heard.samples, **({"drive": np.array(said, np.float32)} if said else {})})
    row = Extractor(MACHINE).extract(heard)[0]
    assert not [c for c in row.schema.columns if c.startswith("envelope_") and c != "envelope_rms@1"]


def test_a_tachometer_is_believed_before_a_speed_and_a_configured_speed_holds_without_either():
    machine = replace(MACHINE, channels=(VIBRATION, SPEED, TACHO))
    pulses = (np.sin(2 * np.pi * 25.0 * np.arange(SAMPLES) / RATE_HZ) > 0.9).astype(np.float32)
    heard = Window(machine="P", time_ns=0, samples={"drive": np.array([1180.0], np.float32), "key": pulses})
    assert ShaftSpeed(machine).of(heard) == pytest.approx(1500.0, rel=0.003)
    assert ShaftSpeed(MACHINE).of(heard) == pytest.approx(1180.0, rel=0.003)
    assert ShaftSpeed(replace(MACHINE, channels=(VIBRATION,))).of(heard) == 1800.0
