"""Machines to extract from, and the textbook's answers in float64 to compare with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from edge.bearing.frequencies import fault_frequencies
from edge.types import Bearing, Channel, ChannelKind, Machine

BEARING = Bearing(balls=9, ball_diameter=7.94, pitch_diameter=39.04)


def envelope_of_band(x: np.ndarray) -> np.ndarray:
    """The envelope of what lies above 1/8 of Nyquist, at half the sampling rate."""
    n = x.size
    spectrum = np.fft.fft(x - x.mean())
    ratio = np.abs(np.fft.fftfreq(n)) * 2
    band = np.fft.ifft(np.where(ratio > 1 / 8 * (1 + 1e-12), spectrum, 0)).real
    if n % 2 == 0:
        return np.abs(scipy.signal.hilbert(band))[::2]
    coefficients = 2 * np.fft.fft(band)[: n // 2 + 1] / n  # between samples: the Fourier series itself, by a chirp z
    coefficients[0] = 0.0
    return np.abs(scipy.signal.czt(coefficients, n // 2, np.exp(2j * np.pi / (n // 2))))


def shaft_orders(x: np.ndarray, rate_hz: float, shaft_hz: float, to_velocity: bool) -> list[float]:
    """RMS of orders 1 to 3 by scipy's Hann periodogram: lines within 2 % and 2 lines."""
    hz, density = scipy.signal.periodogram(x, rate_hz, window="hann", detrend="constant")
    step = rate_hz / x.size
    power = density * step
    if to_velocity:
        power[1:] *= (9806.65 / (2 * np.pi * hz[1:])) ** 2
    found = []
    for order in (1, 2, 3):
        low = np.floor(order * shaft_hz * 0.98 / step) - 2
        high = np.ceil(order * shaft_hz * 1.02 / step) + 2
        line = np.arange(hz.size)
        found.append(np.sqrt(power[(line >= low) & (line <= high)].sum()))
    return found


def kurtogram_bands(x: np.ndarray, rate_hz: float) -> dict[tuple[float, float], float]:
    """Spectral kurtosis by band edges in Hz: each band alone through scipy's Hilbert transform at the full rate."""
    n = x.size
    spectrum = np.fft.rfft(x - x.mean())
    found = {}
    for parts in (4, 8, 16, 32):
        for band in range(1, parts):
            low, high = band * n // (2 * parts), (band + 1) * n // (2 * parts)
            only = np.zeros_like(spectrum)
            only[low + 1 : high + 1] = spectrum[low + 1 : high + 1]
            power = np.abs(scipy.signal.hilbert(np.fft.irfft(only, n))) ** 2
            if np.sum(np.abs(only) ** 2) > 1e-6 * np.sum(np.abs(spectrum[1:]) ** 2):
                found[low * rate_hz / n, high * rate_hz / n] = np.mean(power**2) / np.mean(power) ** 2 - 2
    return found


def textbook(x: np.ndarray, rate_hz: float, speed_rpm: float | None = None) -> dict[str, float]:
    """Every waveform feature by scipy in float64."""
    x = x.astype(np.float64)
    y = x - x.mean()
    rms = np.sqrt(np.mean(y**2))
    hz, power = scipy.signal.periodogram(x, rate_hz, window="boxcar", detrend="constant", scaling="spectrum")
    ratio = hz / (rate_hz / 2)
    out = {
        "rms@1": rms,
        "peak@1": np.abs(y).max(),
        "crest@1": np.abs(y).max() / rms,
        "kurtosis@1": scipy.stats.kurtosis(x, fisher=False),
        "skewness@1": scipy.stats.skew(x),
        "shape@1": rms / np.mean(np.abs(y)),
        "centroid@1": np.sum(hz * power) / np.sum(power),
    }
    for band, low in enumerate((1 / 2, 1 / 4, 1 / 8, 1 / 16, 0), start=1):
        high = 2 * low or 1 / 16
        inside = (ratio > low * (1 + 1e-12)) & (ratio <= high * (1 + 1e-12))
        out[f"band{band}_rms@1"] = np.sqrt(power[inside].sum())
    out["envelope_rms@1"] = envelope_of_band(x).std()
    hz, density = scipy.signal.periodogram(x, rate_hz, window="hann", detrend="constant")
    inside = (hz >= 10 - 1e-9) & (hz <= 1000 + 1e-9)
    acceleration = density[inside] * rate_hz / x.size
    out["velocity_rms@1"] = np.sqrt(np.sum(acceleration * (9806.65 / (2 * np.pi * hz[inside])) ** 2))
    if speed_rpm is not None:
        squared = envelope_of_band(x) ** 2
        lines = np.abs(np.fft.rfft(squared - squared.mean()))
        step = rate_hz / x.size
        floor = np.median(lines[1 : int(rate_hz / 16 / step) + 1])
        for name, at in fault_frequencies(BEARING, speed_rpm).items():
            near = [
                lines[int(np.floor(h * at * 0.98 / step)) : int(np.ceil(h * at * 1.02 / step)) + 1] for h in (1, 2, 3)
            ]
            out[f"envelope_{name}@1"] = np.mean([n.max() for n in near]) / floor
        for order, rms in enumerate(shaft_orders(x, rate_hz, speed_rpm / 60, to_velocity=True), start=1):
            out[f"order{order}_velocity@1"] = rms
    if x.size >= rate_hz:
        (low, high), kurtosis = max(kurtogram_bands(x, rate_hz).items(), key=lambda band: band[1])
        out |= {"spectral_kurtosis@1": kurtosis, "demodulation_low@1": low, "demodulation_high@1": high}
    return out


@pytest.fixture
def make_machine() -> Callable[..., Machine]:
    """A machine of waveform channels `names`, and a thermometer where `slow`."""

    def make(
        names: tuple[str, ...] = ("horizontal",),
        *,
        rate_hz: float = 25_600.0,
        unit: str = "g",
        speed_rpm: float | None = None,
        bearing: Bearing | None = None,
        slow: bool = False,
    ) -> Machine:
        channels = [Channel(name=n, kind=ChannelKind.WAVEFORM, unit=unit, rate_hz=rate_hz) for n in names]
        if slow:
            channels.append(Channel(name="temperature", kind=ChannelKind.SCALAR, unit="C", rate_hz=1.0))
        return Machine(
            name="m", machine_class="bearing", channels=tuple(channels), speed_rpm=speed_rpm, bearing=bearing
        )

    return make
