"""A spectrum is for eyes: a tone keeps its RMS, few lines stand for many, and nothing that is not finite is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from edge.features import spectrum
from edge.features.amplitude import LONGEST, amplitude_spectrum
from edge.types import Kind, Quality, Window


@pytest.mark.parametrize("n", [64, 65, 2560, 8192, 51_200])
def test_a_tone_shows_its_rms_at_its_frequency(n: int) -> None:
    rate = 25_600.0
    cycles = n // 5
    x = (3.0 * np.sin(2 * np.pi * cycles * np.arange(n) / n) + 7.0).astype(np.float32)
    lines, step = amplitude_spectrum(x, rate)
    assert lines.size <= LONGEST
    assert lines.dtype == np.float32
    assert lines.max() == pytest.approx(3.0 / np.sqrt(2), rel=1e-3)
    assert abs(lines.argmax() * step - cycles * rate / n) <= step
    assert lines.size * step >= rate / 2


def test_the_lines_are_scipys_amplitude_spectrum() -> None:
    import scipy.signal

    x = np.random.default_rng(0).standard_normal(1500).astype(np.float32)
    _, power = scipy.signal.periodogram(x.astype(float), 1.0, window="hann", detrend="constant", scaling="spectrum")
    assert amplitude_spectrum(x, 1.0)[0] == pytest.approx(np.sqrt(power), rel=1e-3, abs=1e-5)


def test_each_waveform_channel_becomes_a_record(make_machine) -> None:
    machine = make_machine(("horizontal", "vertical"), slow=True)
    x = np.random.default_rng(0).standard_normal(2560).astype(np.float32)
    bad = x.copy()
    bad[3] = np.nan
    samples = {"horizontal": x, "vertical": bad, "temperature": x[:1]}
    (record,) = spectrum(machine, Window(machine="m", time_ns=7, samples=samples, quality=Quality.SUSPECT_CLOCK))
    assert (record.kind, record.channel, record.time_ns) == (Kind.SPECTRUM, "horizontal", 7)
    assert (record.step, record.quality) == (20.0, Quality.SUSPECT_CLOCK)
    assert spectrum(machine, Window(machine="m", time_ns=7, samples={"horizontal": x[:10]})) == []
