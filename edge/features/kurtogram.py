"""Where in the spectrum something strikes: the band to demodulate before the bearing's lines are sought in it.

J. Antoni, Fast computation of the kurtogram, MSSP 2007, with ideal filters: a band is a slice of the rfft, and its
analytic signal's time averages are exact from twice as many points as it has lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = (2, 3, 4, 5)  # bands of 1/4, 1/8, 1/16, 1/32 of Nyquist
FAINTEST = 1e-6  # of the whole power: fainter bands hold rounding, not signal


def band_lines(samples: int, level: int) -> NDArray[np.intp]:
    """Edges in lines: band b holds the lines edges[b] + 1 .. edges[b + 1]."""
    return np.arange(2**level + 1, dtype=np.intp) * samples // (2 << level)


class Kurtogram:
    """The largest spectral kurtosis of a measurement of `samples` samples, and its band."""

    def __init__(self, samples: int, rate_hz: float) -> None:
        self._even = samples % 2 == 0
        self._step_hz = rate_hz / samples
        self._edges = [band_lines(samples, level) for level in LEVELS]

    def __call__(self, lines: NDArray[np.complex128]) -> NDArray[np.float64]:
        """(C, n // 2 + 1) lines of the rfft -> (C, 3): spectral kurtosis, lower and upper edge in Hz; 0 without one."""
        lines = lines.copy()
        if self._even:
            lines[:, -1] *= 0.5
        whole = np.square(np.abs(lines[:, 1:])).sum(axis=1)
        best = np.zeros((len(lines), 3))
        for edges in self._edges:
            found = self._kurtosis(lines, edges, whole)
            band = found.argmax(axis=1)
            value = np.take_along_axis(found, band[:, None], axis=1)[:, 0]
            candidate = np.stack([value, edges[band + 1] * self._step_hz, edges[band + 2] * self._step_hz], axis=1)
            better = value > best[:, 0]
            best[better] = candidate[better]
        return best

    @staticmethod
    def _kurtosis(
        lines: NDArray[np.complex128], edges: NDArray[np.intp], whole: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(C, bands - 1): all but the lowest band, -2 where a band is too faint."""
        widest = int(np.diff(edges).max())
        at = edges[1:-1, None] + 1 + np.arange(widest)
        inside = at <= edges[2:, None]
        bands = np.where(inside, lines[:, np.minimum(at, lines.shape[1] - 1)], 0.0)
        power = np.square(np.abs(np.fft.ifft(bands, n=2 * widest, axis=2))) * (2 * widest)
        second, fourth = power.mean(axis=2), np.square(power).mean(axis=2)
        loud = np.square(np.abs(bands)).sum(axis=2) > FAINTEST * whole[:, None]
        found: NDArray[np.float64] = np.where(loud, fourth / np.where(loud, second, 1.0) ** 2 - 2.0, -2.0)
        return found
