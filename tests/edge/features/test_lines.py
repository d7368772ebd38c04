"""The dear features, made where a model reads them."""

from __future__ import annotations

import numpy as np
import pytest

from edge.features import Extractor
from edge.features.envelope_diagnosis import candidates, found_lines
from edge.features.lines import profile
from edge.sensors.simulator import BEARING_6205
from edge.types import Channel, ChannelKind, Machine, Quality, Window
from models.features import DIAGNOSED

RATE_HZ, RPM, SAMPLES = 12_000.0, 1797.0, 8192
MACHINE = Machine(
    name="P-7",
    machine_class="pump",
    channels=(Channel(name="v", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=RATE_HZ),),
    speed_rpm=RPM,
    bearing=BEARING_6205,
)
WANTED = tuple(s.id for s in DIAGNOSED)


def impacts(windows: int, gain: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    t = np.arange(windows * SAMPLES) / RATE_HZ
    gaps = (1.0 + 0.01 * rng.standard_normal(1000)) / candidates(BEARING_6205, RPM)["bpfo"]  # rolling elements slip
    struck = np.concatenate([[0.0], np.cumsum(gaps)])
    since = t - struck[np.searchsorted(struck, t, side="right") - 1]
    noise = 0.2 * rng.standard_normal(t.size)
    return (gain * (np.exp(-900.0 * since) * np.sin(2 * np.pi * 3300.0 * since) + noise)).astype(np.float32)


def said(x: np.ndarray, wanted=WANTED, quality: Quality = Quality.GOOD) -> list[dict[str, float]]:
    extractor, found = Extractor(MACHINE), []
    for i in range(0, x.size, SAMPLES):
        window = Window(
            machine="P-7", time_ns=round(i * 1e9 / RATE_HZ), samples={"v": x[i : i + SAMPLES]}, quality=quality
        )
        found += [
            dict(zip(r.schema.columns, r.values.tolist(), strict=True)) for r in extractor.extract(window, wanted)
        ]
    return found


def test_they_are_those_of_all_samples_so_far_and_of_none_that_come_later():
    x = impacts(3)
    rows = said(x)
    for n, row in enumerate(rows, 1):
        lines = found_lines([x[: n * SAMPLES]], RATE_HZ, BEARING_6205, RPM)
        assert [row[f"prominence_{f.line}@1"] for f in lines] == pytest.approx([f.prominence for f in lines], abs=1e-5)
        assert [row[f"rival_{f.line}@1"] for f in lines] == pytest.approx([f.rival for f in lines], abs=1e-5)
    assert rows[-1]["prominence_bpfo@1"] > 2.0
    assert said(x[:SAMPLES]) == rows[:1]


@pytest.mark.parametrize("wanted", [(), ("rms@1", "kurtosis@1")])
def test_without_a_model_that_reads_them_they_are_not_made(wanted):
    assert not [f for row in said(impacts(2), wanted) for f in row if f in WANTED]


def test_a_faulty_sensor_has_none():
    assert not [f for row in said(impacts(2), quality=Quality.SENSOR_FAULT) for f in row if f in WANTED]


def test_a_profile_is_free_of_gain_and_finite_on_silence():
    x = impacts(1)
    assert profile(1e-3 * x) == pytest.approx(profile(x), abs=1e-3)
    assert profile(x).sum() == pytest.approx(0.0, abs=1e-6)
    assert profile(x).argmax() == 5  # 3.3 kHz of 0.8 x 6 kHz
    assert np.isfinite(profile(np.zeros(SAMPLES, np.float32))).all()
