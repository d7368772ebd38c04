"""The few directions in which a fleet's channels move together.

Wear moves many channels at once, each reading is noisy, and a fleet is small: a network of every channel learns the
noise by heart. The principal directions of the channels, each taken in its own spread, keep what they have in common
(Pearson 1901; Hotelling 1933). They are linear, as the averages that a machine remembers are, so they are a part of
the graph, and a machine may be made up along them alone.
"""

from __future__ import annotations

import numpy as np

from models.history import FloatArray

_STILL = 1e-6  # a series that never moved is scaled as if it moved this much


def directions(readings: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Return location (C,) and mix (C, E) of readings (N, C): (readings - location) @ mix has columns of spread 1.

    E is `count`, or C where that is less; the first directions explain most.
    """
    x = readings.astype(np.float64)
    location, spread = x.mean(axis=0), np.maximum(x.std(axis=0), _STILL)
    _, vectors = np.linalg.eigh(np.cov(x / spread, rowvar=False).reshape(len(spread), -1))
    chosen = vectors[:, ::-1][:, :count]
    largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])]
    mix = chosen * np.sign(largest) / spread[:, None]
    mix /= np.maximum(((x - location) @ mix).std(axis=0), _STILL)
    return location.astype(np.float32), mix.astype(np.float32)
