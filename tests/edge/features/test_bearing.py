"""Bearing lines are found where geometry puts them, and are left out where a window cannot tell them apart."""

from __future__ import annotations

import numpy as np
import pytest

from edge.bearing.frequencies import fault_frequencies, geometry
from edge.features import Extractor
from edge.features.bearing import EnvelopeLines, resolvable
from edge.sensors.replay import find_recordings
from edge.types import Bearing, Window
from tests.edge.features.conftest import BEARING


def test_a_6205_has_the_frequencies_that_its_maker_gives() -> None:
    """CWRU Bearing Data Center: multiples of the shaft speed of the drive-end bearing."""
    found = fault_frequencies(BEARING, 60.0)
    assert found == pytest.approx({"bpfo": 3.5848, "bpfi": 5.4152, "bsf": 2 * 4.7135 / 4, "ftf": 0.39828}, rel=2e-3)


@pytest.mark.parametrize(
    ("balls", "ball_mm", "pitch_mm", "cage", "spin", "outer", "inner"),
    [
        (7, 2.770, 10.514, 0.3683, 1.7661, 2.5779, 4.4221),  # NMB 1560KK
        (7, 3.950, 14.974, 0.3681, 1.7635, 2.5767, 4.4233),  # NMB 608DSD81
        (7, 3.960, 15.014, 0.3681, 1.7638, 2.5769, 4.4231),  # WTOO 608RS
        (7, 3.968, 15.016, 0.3679, 1.7600, 2.5751, 4.4249),  # Allout 608ZZ
    ],
)
def test_frequencies_are_those_of_another_implementation(
    balls: int, ball_mm: float, pitch_mm: float, cage: float, spin: float, outer: float, inner: float
) -> None:
    """Geometry and multiples of the shaft speed as pyBearing 1.0.4 (Anko and Slavic) lists them, four digits."""
    found = fault_frequencies(Bearing(balls=balls, ball_diameter=ball_mm, pitch_diameter=pitch_mm), 60.0)
    assert found == pytest.approx({"bpfo": outer, "bpfi": inner, "bsf": spin, "ftf": cage}, abs=6e-5)


def test_geometry_is_recovered_from_the_race_frequencies() -> None:
    hz = fault_frequencies(BEARING, 1800.0)
    back = fault_frequencies(geometry(hz["bpfo"], hz["bpfi"], 30.0), 1800.0)
    assert back == pytest.approx(hz, rel=1e-9)


@pytest.mark.parametrize(
    ("step_hz", "highest_hz", "shown"),
    [
        (3.125, 1600.0, ("bpfo", "bpfi", "bsf")),  # the cage is 3.8 steps above zero
        (1.0, 1600.0, ("bpfo", "bpfi", "bsf", "ftf")),
        (10.0, 1600.0, ("bpfo", "bpfi", "bsf")),
        (30.0, 1600.0, ()),
        (1.0, 400.0, ("bpfo", "bsf", "ftf")),  # the inner race's third harmonic lies above
    ],
)
def test_only_lines_that_the_resolution_tells_apart_are_shown(step_hz: float, highest_hz: float, shown: tuple) -> None:
    assert resolvable(fault_frequencies(BEARING, 1800.0), 30.0, step_hz, highest_hz) == shown


@pytest.mark.parametrize("highest_hz", [200.0, 210.0])
def test_a_line_is_its_harmonics_mean_over_the_spectrums_median(highest_hz: float) -> None:
    squared = np.random.default_rng(1).random((2, 640)).astype(np.float32)
    lines = np.abs(np.fft.rfft(squared.astype(float)))[:, : int(highest_hz / 10) + 1]
    expected = np.mean([lines[:, 5:8].max(1), lines[:, 11:14].max(1), lines[:, 17:20].max(1)], axis=0)
    found = EnvelopeLines([60.0], 10.0, highest_hz)(squared)
    assert found[:, 0] == pytest.approx(expected / np.median(lines[:, 1:], axis=1), rel=1e-5)


def test_without_speed_or_geometry_there_is_no_bearing_line(make_machine) -> None:
    x = np.random.default_rng(0).standard_normal(8192).astype(np.float32)
    for machine in (make_machine(speed_rpm=1800.0), make_machine(bearing=BEARING)):
        (row,) = Extractor(machine).extract(Window(machine="m", time_ns=0, samples={"horizontal": x}))
        assert not [c for c in row.schema.columns if c.startswith("envelope_b")]


def mean_lines(recording) -> dict[str, float]:
    extractor = Extractor(recording.machine)
    rows = [extractor.extract(w)[0] for w in recording.open().windows()]
    values = np.mean([r.values for r in rows if r.schema.columns == rows[0].schema.columns], axis=0)
    return {c: float(v) for c, v in zip(rows[0].schema.columns, values, strict=True) if c.startswith("envelope_b")}


def test_recorded_race_faults_stand_out_at_their_own_line(recordings) -> None:
    """Real damage: MFPT's outer and inner races, by the mean over each record."""
    found = find_recordings([recordings / "mfpt"])
    right = 0
    for recording in found:
        lines = mean_lines(recording)
        right += (
            lines["envelope_bpfo@1"] > lines["envelope_bpfi@1"]
            if "Outer" in recording.name
            else (lines["envelope_bpfi@1"] > lines["envelope_bpfo@1"])
        )
    assert right >= 0.8 * len(found), f"{right} of {len(found)}"
