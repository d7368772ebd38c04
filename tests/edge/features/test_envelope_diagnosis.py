"""Impact trains at known rates: which line stands out, where it is found, and what cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

from edge.detection.bearing_part import SIDEBANDS_FROM
from edge.features.envelope_diagnosis import candidates, found_lines, segment_length, squared_envelope_spectrum
from tests.edge.features.conftest import BEARING

RATE_HZ, RPM = 12_000.0, 1797.0


def impacts(hz: float, seconds: float = 3.0, seed: int = 1, depth: float = 0.0, jitter: float = 0.005) -> np.ndarray:
    """Bursts of a 3 kHz resonance at `hz` under noise of the same power, modulated by the shaft to `depth`."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE_HZ)
    at = np.cumsum((1.0 + jitter * rng.standard_normal(int(seconds * hz))) / hz)
    at = at[at < seconds - 0.01]
    blows = np.zeros(n)
    blows[(at * RATE_HZ).astype(int)] = 1.0 + depth * np.cos(2 * np.pi * RPM / 60 * at)
    t = np.arange(200) / RATE_HZ
    signal = np.convolve(blows, np.exp(-t / 0.001) * np.sin(2 * np.pi * 3000 * t))[:n]
    return (signal / signal.std() + rng.standard_normal(n)).astype(np.float32)


def prominence(*stretches: np.ndarray) -> dict[str, float]:
    found = found_lines(stretches, RATE_HZ, BEARING, RPM)
    assert found is not None
    return {f.line: f.prominence for f in found}


@pytest.mark.parametrize("line", ["bpfo", "bpfi", "bsf"])
@pytest.mark.parametrize("slip", [-0.008, 0.0, 0.008])
def test_the_line_of_the_damaged_part_stands_out_and_is_found_where_it_slipped_to(line, slip):
    hz = candidates(BEARING, RPM)[line] * (1 + slip)
    found = found_lines([impacts(hz, depth=0.5 if line == "bpfi" else 0.0)], RATE_HZ, BEARING, RPM)
    first, second, _ = sorted(found, key=lambda f: -f.prominence)
    assert first.line == line
    assert first.prominence > 2.0
    assert second.prominence < 0.6 * first.prominence
    assert first.found_hz == pytest.approx(hz, rel=0.004)


@pytest.mark.parametrize(("depth", "carried"), [(0.0, False), (0.6, True)])
def test_sidebands_stand_out_where_the_shaft_carries_the_damage_through_the_load_zone(depth, carried):
    found = found_lines([impacts(candidates(BEARING, RPM)["bpfi"], depth=depth)], RATE_HZ, BEARING, RPM)
    outer, inner, ball = found
    assert (inner.sidebands > SIDEBANDS_FROM) is carried
    assert outer.sidebands is None
    assert ball.sidebands < SIDEBANDS_FROM


def test_the_sidebands_of_noise_do_not_stand_out():
    records = np.random.default_rng(8).standard_normal((20, 24_000))
    found = [found_lines([r], RATE_HZ, BEARING, RPM) for r in records]
    assert max(f.sidebands for lines in found for f in lines[1:]) < SIDEBANDS_FROM


def test_noise_and_a_rate_that_is_no_line_of_this_bearing_stand_out_nowhere():
    noise = np.random.default_rng(2).standard_normal(40_000)
    assert max(prominence(noise).values()) < 0.9
    assert max(prominence(impacts(4.4 * RPM / 60)).values()) < 0.9


def test_gear_mesh_and_unbalance_far_above_the_signal_change_nothing_and_neither_does_the_gain():
    hz = candidates(BEARING, RPM)["bpfo"]
    signal = impacts(hz)
    t = np.arange(signal.size) / RATE_HZ
    loud = 30 * np.sin(2 * np.pi * RPM / 60 * t) + 30 * np.sin(2 * np.pi * 23 * RPM / 60 * t)
    bare = prominence(signal)
    assert prominence((signal + loud).astype(np.float32))["bpfo"] == pytest.approx(bare["bpfo"], rel=0.2)
    assert prominence(signal * np.float32(1e-6))["bpfo"] == pytest.approx(bare["bpfo"], rel=1e-3)


def test_stretches_apart_add_up_and_one_that_is_not_finite_is_left_out():
    hz = candidates(BEARING, RPM)["bpfi"]
    several = [impacts(hz, seconds=1.5, seed=s) for s in range(3)]
    whole = prominence(*several)
    broken = several[0].copy()
    broken[5] = np.nan
    assert prominence(*several, broken) == whole
    length = segment_length(several[0].size, RATE_HZ, RPM)
    together = squared_envelope_spectrum(several, length)
    assert together == pytest.approx(sum(squared_envelope_spectrum([s], length) for s in several))


def test_too_few_revolutions_or_too_slow_a_rate_give_no_figures():
    short = impacts(100.0, seconds=15 * 60 / RPM)
    assert found_lines([short], RATE_HZ, BEARING, RPM) is None
    assert found_lines([short] * 4, RATE_HZ, BEARING, RPM) is None
    assert found_lines([], RATE_HZ, BEARING, RPM) is None
    assert found_lines([impacts(100.0)], 3000.0, BEARING, RPM) is None


def test_a_constant_signal_stands_out_nowhere():
    assert max(prominence(np.full(40_000, 0.1, np.float32)).values()) < 0.9


def test_a_transform_holds_64_revolutions_at_most_and_16_at_least():
    revolution = RATE_HZ * 60 / RPM
    assert 62 * revolution < segment_length(10**6, RATE_HZ, RPM) <= 64 * revolution
    assert segment_length(int(17 * revolution), RATE_HZ, RPM) is not None
    assert segment_length(int(15 * revolution), RATE_HZ, RPM) is None
