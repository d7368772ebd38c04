"""The peer: the same waveform features as a textbook writes them, with scipy in float64."""

from __future__ import annotations

import numpy as np
import scipy.signal
import scipy.stats
from numpy.typing import NDArray


class Textbook:
    """Features of a window (channels, samples), channel by channel."""

    def __init__(self, rate_hz: float) -> None:
        nyquist = rate_hz / 2
        edges = [(0.5, 0.99), (0.25, 0.5), (0.125, 0.25), (0.0625, 0.125), (0.001, 0.0625)]
        self._rate_hz = rate_hz
        self._bands = [
            scipy.signal.butter(4, [low * nyquist, high * nyquist], btype="band", fs=rate_hz, output="sos")
            for low, high in edges
        ]
        self._high = scipy.signal.butter(4, nyquist / 8, btype="high", fs=rate_hz, output="sos")

    def __call__(self, signals: NDArray[np.float32]) -> NDArray[np.float64]:
        """(C, samples) -> (C, 13)."""
        return np.array([self._one(x.astype(np.float64)) for x in signals])

    def _one(self, x: NDArray[np.float64]) -> list[float]:
        x = x - x.mean()
        rms = float(np.sqrt(np.mean(x**2)))
        peak = float(np.abs(x).max())
        bands = [float(scipy.signal.sosfiltfilt(sos, x).std()) for sos in self._bands]
        hz, power = scipy.signal.periodogram(x, self._rate_hz)
        envelope = np.abs(scipy.signal.hilbert(scipy.signal.sosfiltfilt(self._high, x)))
        return [
            rms,
            peak,
            peak / rms,
            float(scipy.stats.kurtosis(x, fisher=False)),
            float(scipy.stats.skew(x)),
            rms / float(np.mean(np.abs(x))),
            *bands,
            float(np.sum(hz * power) / np.sum(power)),
            float(envelope.std()),
        ]
