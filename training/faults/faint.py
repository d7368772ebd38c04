"""Fainter damage than anybody recorded: the same spectrum, with part of the impacts' timing destroyed."""

from __future__ import annotations

import numpy as np

from models.history import FloatArray


def faint(samples: FloatArray, timing: float, rng: np.random.Generator) -> FloatArray:
    """(n,) samples -> (n,): `timing` (0 to 1) of them as they were, the rest as a noise of the same spectrum.

    The noise has the signal's amplitudes and random phases (J. Theiler et al., Physica D 58, 1992): impacts at a steady
    rate, and nothing else, get lost in it.
    """
    x = samples.astype(np.float64) - samples.mean()
    lines = np.abs(np.fft.rfft(x)) * np.exp(2j * np.pi * rng.random(x.size // 2 + 1))
    noise = np.fft.irfft(lines, x.size)
    mixed: FloatArray = (timing * x + np.sqrt(1.0 - timing**2) * noise).astype(np.float32)
    return mixed
