"""The few directions in which a fleet's channels move together.

Wear moves many channels at once, each reading is noisy, and a fleet is small: a network of every channel learns the
noise by heart. The principal directions of the channels keep what they have in common (Pearson 1901; Hotelling 1933).
Each channel counts by its reliability, the share of its variance that is not from one window to the next: a channel of
noise alone would else be a direction of its own. They are linear, as the averages that a machine remembers are, so they
are a part of the graph, and a machine may be made up along them alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.history import FloatArray

_STILL = 1e-6  # a series that never moved is scaled as if it moved this much


def directions(lives: Sequence[FloatArray], count: int) -> tuple[FloatArray, FloatArray]:
    """Return location (C,) and mix (C, E) of the lives' readings (n, C): (x - location) @ mix has columns of spread 1.

    E is `count`, or C where that is less; the first directions explain most.
    """
    x = np.concatenate(lives).astype(np.float64)
    location, spread = x.mean(axis=0), np.maximum(x.std(axis=0), _STILL)
    steps = np.concatenate([np.diff(life.astype(np.float64), axis=0) for life in lives])
    noise = (steps**2).mean(axis=0) / 2.0  # variance of white noise, from neighbours
    scale = np.sqrt(np.clip(1.0 - noise / spread**2, 0.0, 1.0)) / spread
    _, vectors = np.linalg.eigh(np.cov(x * scale, rowvar=False).reshape(len(spread), -1))
    chosen = vectors[:, ::-1][:, :count]
    largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])]
    mix = chosen * np.sign(largest) * scale[:, None]
    mix /= np.maximum(((x - location) @ mix).std(axis=0), _STILL)
    return location.astype(np.float32), mix.astype(np.float32)
