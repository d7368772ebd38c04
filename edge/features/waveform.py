"""The features of a vibration window: one rfft and one short inverse transform serve all of them.

Invariants: the signal is scaled to a peak of 1 before any power is taken, so that neither large nor tiny units leave
float32's range; the five bands' squares add up to the RMS squared (Parseval); a signal without variation gives zeros.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.bearing.frequencies import fault_frequencies
from edge.features.bearing import EnvelopeLines, resolvable
from edge.features.velocity import VelocityRms, measurable
from edge.types import Bearing, Channel, Machine, Schema
from models.features import BEARING, VELOCITY, WAVEFORM

FloatArray = NDArray[np.float32]
SHORTEST = 64  # samples; below, the lowest band has no line
BANDS = 5
_ROUNDING = np.float32(4e-7)  # of its mean: what a constant signal seems to vary by in float32
_SMALLEST = np.float32(1e-37)  # below, float32 has no inverse


def band_edges(samples: int) -> list[int]:
    """First line of each octave band of an rfft, lowest band first: (0, 1/16], (1/16, 1/8] ... (1/2, 1] of Nyquist."""
    return [1] + [samples // (2 << k) + 1 for k in range(BANDS - 1, 0, -1)]


class WaveformPlan:
    """All that is known before the samples: the columns, the band edges, the weights. Not for two threads at once."""

    def __init__(self, machine: Machine, channel: Channel, samples: int, speed_rpm: float | None) -> None:
        self.samples = samples
        self.rate_hz = channel.rate_hz
        self._step_hz = channel.rate_hz / samples
        self._prepare_lines()
        bearing = self._bearing_lines(machine.bearing, speed_rpm)
        self._velocity = (
            VelocityRms(samples, channel.rate_hz, channel.unit)
            if measurable(samples, channel.rate_hz, channel.unit)
            else None
        )
        specs = [*WAVEFORM, *(s for s in BEARING if s.id in bearing), *(VELOCITY if self._velocity else ())]
        self.schema = Schema(
            tuple(s.id for s in specs), tuple(channel.unit if s.unit == "=" else s.unit for s in specs)
        )

    def _prepare_lines(self) -> None:
        n = self.samples
        edges = band_edges(n)
        self._edges = np.array(edges) * 2  # real and imaginary parts lie side by side
        self._nyquist = n % 2 == 0
        self._line_numbers = np.repeat(np.arange(n // 2 + 1, dtype=np.float32), 2) * np.float32(self._step_hz)
        self._envelope_first = edges[2]  # above 1/8 of Nyquist
        self._envelope_points = n // 2  # the band is narrower than half the rate, so every other point holds it

    def _bearing_lines(self, bearing: Bearing | None, speed_rpm: float | None) -> set[str]:
        self._lines: EnvelopeLines | None = None
        if bearing is None or not speed_rpm:
            return set()
        frequencies = fault_frequencies(bearing, speed_rpm)
        highest = self.rate_hz / 16  # the squared envelope at half the rate is free of aliases up to here
        shown = resolvable(frequencies, speed_rpm / 60.0, self._step_hz, highest)
        if shown:
            self._lines = EnvelopeLines([frequencies[line] for line in shown], self._step_hz, highest)
        return {f"envelope_{line}@1" for line in shown}

    def compute(self, signals: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """(C, samples) float32 -> (C, features), and which rows are valid: False where a sample is not finite."""
        mean = signals.mean(axis=1)
        x = signals - mean[:, None]
        magnitude = np.abs(x)
        peak = magnitude.max(axis=1)
        valid = np.isfinite(peak)
        moves = peak > np.maximum(np.abs(mean) * _ROUNDING, _SMALLEST)
        scale = np.where(moves, peak, np.float32(1.0))
        x *= (moves / scale)[:, None].astype(np.float32)
        peak = peak * moves
        out = np.empty((len(x), len(self.schema.columns)), dtype=np.float32)
        self._time_domain(x, magnitude.mean(axis=1), peak, scale, out)
        lines: NDArray[np.complex64] = np.fft.rfft(x)  # type: ignore[assignment] # numpy 2 keeps float32
        self._bands(lines, scale, out)
        optional = [self._envelope(lines, scale, out)]
        if self._velocity is not None:
            optional.append((self._velocity(lines) * scale)[:, None])
        out[:, len(WAVEFORM) :] = np.concatenate(optional, axis=1)
        return out, valid

    def _time_domain(
        self, x: FloatArray, mean_abs: FloatArray, peak: FloatArray, scale: FloatArray, out: FloatArray
    ) -> None:
        squared = x * x
        m2 = squared.mean(axis=1)
        m3 = np.vecdot(squared, x) / self.samples
        m4 = np.vecdot(squared, squared) / self.samples
        safe = np.where(m2 > 0, m2, np.float32(1.0))
        root = np.sqrt(m2)
        out[:, 0] = root * scale
        out[:, 1] = peak
        out[:, 2] = (m2 > 0) / np.sqrt(safe)
        out[:, 3] = m4 / (safe * safe)
        out[:, 4] = m3 / (safe * np.sqrt(safe))
        out[:, 5] = root * scale / np.where(mean_abs > 0, mean_abs, np.float32(1.0))

    def _bands(self, lines: NDArray[np.complex64], scale: FloatArray, out: FloatArray) -> None:
        parts = lines.view(np.float32)
        power = parts * parts
        if self._nyquist:
            power[:, -2:] *= np.float32(0.5)  # the Nyquist line stands once in the signal, the others twice
        bands = np.add.reduceat(power, self._edges, axis=1)
        total = bands.sum(axis=1)
        out[:, 6:11] = np.sqrt(bands[:, ::-1]) * (scale * np.float32(np.sqrt(2.0) / self.samples))[:, None]
        out[:, 11] = power @ self._line_numbers / np.where(total > 0, total, np.float32(1.0))

    def _envelope(self, lines: NDArray[np.complex64], scale: FloatArray, out: FloatArray) -> FloatArray:
        """Write the envelope's standard deviation; return the bearing lines (C, 0 to 4).

        Moving a band along the frequency axis turns its analytic signal's phase and leaves its magnitude, so the band
        is put at zero and transformed at half the rate.
        """
        band = np.zeros((len(lines), self._envelope_points), dtype=np.complex64)
        kept = lines.shape[1] - self._envelope_first
        band[:, :kept] = lines[:, self._envelope_first :]
        if self._nyquist:
            band[:, kept - 1] *= np.float32(0.5)
        analytic = np.fft.ifft(band)
        envelope = np.abs(analytic)
        gain = np.float32(2.0 * self._envelope_points / self.samples)
        out[:, 12] = envelope.std(axis=1) * gain * scale
        if self._lines is None:
            return np.empty((len(lines), 0), dtype=np.float32)
        squared = envelope * envelope
        return self._lines(squared - squared.mean(axis=1, keepdims=True))
