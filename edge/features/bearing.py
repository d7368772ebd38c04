"""How loudly an envelope spectrum shows the lines of a damaged bearing.

Short windows cannot tell the lines apart: then the feature is left out instead of guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.bearing.frequencies import LINES

SLIP = 0.02  # rolling elements slip: a line lies within 2 % of where geometry puts it
HARMONICS = 3


def resolvable(frequencies: dict[str, float], shaft_hz: float, step_hz: float, highest_hz: float) -> tuple[str, ...]:
    """The lines that a spectrum with lines `step_hz` apart up to `highest_hz` can show, in the order of LINES.

    A line is shown when it is at least 4 steps above zero, 2 steps from the shaft and every other line, and its
    harmonics lie below `highest_hz`.
    """
    shown = []
    for line in LINES:
        hz = frequencies[line]
        others = [shaft_hz, *(f for name, f in frequencies.items() if name != line)]
        apart = min(abs(hz - other) for other in others)
        if hz >= 4 * step_hz and apart >= 2 * step_hz and HARMONICS * hz * (1 + SLIP) + step_hz <= highest_hz:
            shown.append(line)
    return tuple(shown)


class EnvelopeLines:
    """The bearing lines of a squared-envelope spectrum, over the spectrum's median."""

    def __init__(self, frequencies: Sequence[float], step_hz: float, highest_hz: float) -> None:
        self.bins = int(highest_hz / step_hz) + 1
        near = [self._around(h * hz, step_hz) for hz in frequencies for h in range(1, HARMONICS + 1)]
        widest = max(len(bins) for bins in near)
        padded = [
            [*bins, *[bins[-1]] * (widest - len(bins))] for bins in near
        ]  # a bin twice leaves the largest as it is
        self._near = np.array(padded)
        self._middle = [(self.bins - 2) // 2, (self.bins - 1) // 2]

    @staticmethod
    def _around(hz: float, step_hz: float) -> range:
        """The bins within the slip of `hz`, at least the two that enclose it."""
        return range(math.floor(hz * (1 - SLIP) / step_hz), math.ceil(hz * (1 + SLIP) / step_hz) + 1)

    def __call__(self, squared_envelope: NDArray[np.float32]) -> NDArray[np.float32]:
        """(C, m) squared envelopes -> (C, lines): the mean over harmonics of the largest amplitude near each."""
        amplitude = np.abs(np.fft.rfft(squared_envelope)[:, : self.bins])
        largest = amplitude[:, self._near].max(axis=2)
        lines = largest.reshape(len(amplitude), -1, HARMONICS).mean(axis=2)
        floor = np.partition(amplitude[:, 1:], self._middle, axis=1)[:, self._middle].mean(axis=1)  # the median
        over: NDArray[np.float32] = lines / np.where(floor > 0, floor, np.float32(np.inf))[:, None]
        return over
