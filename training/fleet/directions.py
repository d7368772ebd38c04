"""The few directions in which a fleet's channels move together.

Wear moves many channels at once, each reading is noisy, and a fleet is small: a network of every channel learns the
noise by heart. The principal directions of the channels, each taken in its own spread, keep what they have in common
(Pearson 1901; Hotelling 1933). They are linear, as the averages before them are, so they are a part of the graph.
"""

from __future__ import annotations

import numpy as np

from models.history import FloatArray

_STILL = 1e-6  # a series that never moved is scaled as if it moved this much


def directions(condition: FloatArray, series: int, count: int) -> tuple[FloatArray, FloatArray]:
    """Return location (D,) and mix (D, E): (condition - location) @ mix has columns of spread 1.

    condition (N, D) holds blocks of `series` columns, each block the same series seen in another way, then single
    columns. Each block becomes its part along at most `count` directions, found in the first block; the others stay.
    """
    x = condition.astype(np.float64)
    location = x.mean(axis=0)
    blocks, singles = divmod(x.shape[1], series)
    spread = np.maximum(x[:, :series].std(axis=0), _STILL)
    _, vectors = np.linalg.eigh(np.cov(x[:, :series] / spread, rowvar=False).reshape(series, series))
    chosen = vectors[:, ::-1][:, :count]
    largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])]
    chosen = chosen * np.sign(largest) / spread[:, None]
    mix = np.zeros((x.shape[1], blocks * chosen.shape[1] + singles))
    mix[: blocks * series, : blocks * chosen.shape[1]] = np.kron(np.eye(blocks), chosen)
    mix[blocks * series :, blocks * chosen.shape[1] :] = np.eye(singles)
    mix /= np.maximum(((x - location) @ mix).std(axis=0), _STILL)
    return location.astype(np.float32), mix.astype(np.float32)
