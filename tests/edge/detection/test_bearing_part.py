"""The rule that names a bearing's part, and the same rule inside a live machine's alarm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.diagnosis import listen, truth
from edge.detection import DetectionConfig, Detector
from edge.detection.bearing_part import AMBIGUOUS, FAULT_OF_LINE, NO_LINE, OTHER_RATE, TOO_SHORT, decide
from edge.features import Extractor
from edge.features.envelope_diagnosis import FoundLine, candidates
from edge.features.recent import MOST_SAMPLES, Recent
from edge.sensors.replay import find_recordings
from edge.types import Alarm, AlarmChange, Bearing, Channel, ChannelKind, Machine, Quality, Window

BEARING = Bearing(balls=9, ball_diameter=7.94, pitch_diameter=39.04)
RATE_HZ, RPM, SAMPLES = 12_000.0, 1797.0, 8192
MACHINE = Machine(
    name="P-7",
    machine_class="pump",
    channels=(Channel(name="v", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=RATE_HZ),),
    speed_rpm=RPM,
    bearing=BEARING,
)


def lines(outer: float, inner: float, ball: float) -> list[FoundLine]:
    hz = candidates(BEARING, RPM)
    return [FoundLine(n, hz[n], hz[n] * 1.002, p) for n, p in zip(hz, (outer, inner, ball), strict=True)]


@pytest.mark.parametrize(
    ("figures", "fault", "word"),
    [
        ((3.0, 1.0, 0.2), "outer_race", "sure"),
        ((0.2, 1.5, 0.2), "inner_race", "quite_sure"),
        ((0.1, 0.4, 2.0), "ball", "quite_sure"),
    ],
)
def test_the_line_that_stands_out_and_leads_is_named(figures, fault, word):
    verdict = decide({"v": lines(*figures)})
    assert (verdict.fault, verdict.confidence) == (fault, word)


@pytest.mark.parametrize(("figures", "reason"), [((0.9, 0.1, 0.0), NO_LINE), ((3.0, 2.5, 0.0), AMBIGUOUS)])
def test_faint_and_ambiguous_lines_name_nothing_and_say_why(figures, reason):
    verdict = decide({"v": lines(*figures)})
    assert (verdict.fault, verdict.reason, verdict.evidence()) == (None, reason, ())
    assert decide({}).reason == TOO_SHORT


def test_a_rate_that_is_no_line_of_this_bearing_and_stands_out_too_keeps_the_rule_silent():
    clear, *others = lines(2.0, 0.1, 0.1)
    assert decide({"v": [replace(clear, rival=1.1), *others]}).fault == "outer_race"
    assert decide({"v": [replace(clear, rival=1.3), *others]}).reason == OTHER_RATE


def test_the_clearest_channel_speaks_and_shows_found_beside_expected_frequency():
    verdict = decide({"far": lines(0.1, 0.2, 0.1), "near": lines(0.1, 2.0, 0.1)})
    assert verdict.channel == "near"
    first, *_, where = verdict.evidence()
    assert (first.feature, first.value, first.channel) == ("prominence_bpfi@1", 2.0, "near")
    assert (where.feature, where.unit) == ("frequency_bpfi@1", "Hz")
    assert where.value == pytest.approx(where.baseline * 1.002)
    assert where.baseline == pytest.approx(5.4152 * RPM / 60, rel=1e-3)


def signal(fault_hz: float, windows: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(windows * SAMPLES)
    blows = np.zeros(noise.size)
    blows[np.arange(0, noise.size, RATE_HZ / fault_hz).astype(int)] = 30.0
    t = np.arange(200) / RATE_HZ
    hit = np.exp(-t / 0.001) * np.sin(2 * np.pi * 3000 * t)
    return (noise + np.convolve(blows, hit)[: noise.size] * (np.arange(noise.size) > 6 * SAMPLES)).astype(np.float32)


def told_by(detector: Detector, samples: np.ndarray, *, apart_s: float = 0.0, first: int = 0) -> list[Alarm]:
    extractor, told = Extractor(detector.machine), []
    for i, part in enumerate(samples.reshape(-1, SAMPLES), first):
        time_ns = round(i * (SAMPLES / RATE_HZ + apart_s) * 1e9)
        window = detector.check(Window(machine="P-7", time_ns=time_ns, samples={"v": part}))
        told += detector.update(window, extractor.extract(window))[1]
    return told


def detector() -> Detector:
    return Detector(MACHINE, DetectionConfig(baseline_windows=5, on_delay_windows=3, off_delay_windows=3))


@pytest.mark.parametrize("line", ["bpfo", "bpfi", "bsf"])
def test_an_alarm_of_a_machine_with_known_geometry_and_speed_names_the_part_with_its_lines(line):
    told = told_by(detector(), signal(candidates(BEARING, RPM)[line], 16))
    assert (told[0].change, told[0].part, told[0].fault) == (AlarmChange.RAISED, "bearing", FAULT_OF_LINE[line])
    assert told[0].confidence in {"quite_sure", "sure"}
    assert f"frequency_{line}@1" in {e.feature for e in told[0].evidence}


@pytest.mark.parametrize("orders", [2.9, 4.4, 7.7])
def test_an_alarm_from_impacts_that_no_part_of_the_bearing_gives_names_none(orders):
    told = told_by(detector(), signal(orders * RPM / 60, 16))
    assert (told[0].part, told[0].fault) == ("machine", "degradation")


def test_a_name_stays_with_its_alarm_over_a_restart_and_ends_with_it():
    sounds = signal(candidates(BEARING, RPM)["bpfi"], 16)
    before = detector()
    assert told_by(before, sounds)[0].fault == "inner_race"
    after = detector()
    after.load(before.dump())
    quiet = np.random.default_rng(4).standard_normal(40 * SAMPLES).astype(np.float32)
    returned = told_by(after, quiet, first=16)[-1]
    assert (returned.change, returned.fault) == (AlarmChange.RETURNED_TO_NORMAL, "inner_race")
    assert b'"named":null' in after.dump()


def test_recent_joins_windows_that_follow_and_forgets_snapshots_too_short_to_tell():
    recent = Recent(MACHINE)
    samples = SAMPLES // 2  # 10 revolutions: a snapshot too short to tell
    part = np.zeros(samples, np.float32)
    step = round(samples / RATE_HZ * 1e9)
    for i in range(3):
        recent.add(Window(machine="P-7", time_ns=i * step, samples={"v": part + i}), RPM)
    recent.add(Window(machine="P-7", time_ns=9 * step, samples={"v": part}), RPM)
    assert [s.size for s in recent.stretches()["v"][1]] == [3 * samples, samples]
    recent.add(Window(machine="P-7", time_ns=20 * step, samples={"v": part}), RPM)
    assert [s.size for s in recent.stretches()["v"][1]] == [3 * samples, samples]  # the snapshot between is gone
    recent.add(Window(machine="P-7", time_ns=21 * step, samples={"v": part}, quality=Quality.SENSOR_FAULT), RPM, {"v"})
    assert recent.stretches() == {}


def test_recent_holds_a_bounded_number_of_samples_and_keeps_the_newest():
    recent = Recent(MACHINE)
    step = SAMPLES / RATE_HZ * 1e9
    for i in range(MOST_SAMPLES // SAMPLES + 5):
        recent.add(Window(machine="P-7", time_ns=round(i * step), samples={"v": np.full(SAMPLES, i, np.float32)}), RPM)
    (stretch,) = recent.stretches()["v"][1]
    assert (stretch.size, stretch[0], stretch[-1]) == (MOST_SAMPLES, 5, MOST_SAMPLES // SAMPLES + 4)


def test_records_of_three_rigs_get_the_right_part_and_healthy_ones_none(recordings):
    """A guard over a few records; `python -m benchmarks --only diagnosis` judges all."""
    wanted = {
        "cwru": {"IR_021_2", "OR-12_021_3", "B_021_0", "normal_0"},
        "hit_sm": {"IR8_600", "Normal_1200"},
        "mfpt": {"OuterRaceFault_vload_1"},
    }
    pytest.importorskip("pyarrow")
    told = {}
    for rig in [r for r in wanted if (recordings / r).is_dir()]:
        found = [f for f in find_recordings([recordings / rig]) if f.machine.name in wanted[rig]]
        told |= {f.machine.name: listen(f)[0].fault for f in found}
    if not told:
        pytest.skip(f"{recordings} has none of {', '.join(wanted)}")
    named = {"outer": "outer_race", "inner": "inner_race", "ball": "ball", "normal": None}
    assert told == {name: named[truth(name)[0]] for name in told}
