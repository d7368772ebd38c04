"""How far a machine's channels must go from their healthy start before that is a trend.

On 1,000 streams of white noise at most 1 % may get a date, so the limit is what white noise as strong as the fleet's
reaches in half as many streams as long as its longest life. The average over the middle length of memory counts: a
shorter one is noisy, a longer one is late.
"""

from __future__ import annotations

import numpy as np

from models.history import FloatArray
from models.memory import MemoryConfig
from training.fleet.made_up import remembered
from training.fleet.wear import Array, Worn

_STREAMS = 2_000
_BY_CHANCE = 0.005
_STILL = 1e-6  # a direction without noise counts as if it had this much


def moved(fleet: Worn, mix: FloatArray, view: MemoryConfig, random: np.random.Generator) -> FloatArray:
    """Return (D, E): a condition times this is how far it is from its start in each direction, 1 where that shows.

    `mix` (C, E) takes the channels into the directions, D = C (K + 1) + 1.
    """
    middle = len(view.lengths) // 2
    limit = _limit(fleet, view, middle, random)
    found = np.zeros((len(view.lengths) + 1, *mix.shape))
    found[middle], found[-1] = mix / limit, -mix / limit
    return np.append(found.reshape(-1, mix.shape[1]), np.zeros((1, mix.shape[1])), axis=0).astype(np.float32)


def _limit(fleet: Worn, view: MemoryConfig, middle: int, random: np.random.Generator) -> Array:
    """(E,): how far the middle average of noise goes from the mean of its start, in the directions' units."""
    windows, directions = int(fleet.windows.max()), fleet.noise.shape[1]
    noise = fleet.noise[random.integers(len(fleet.noise), size=(windows, _STREAMS))]
    seen = remembered(noise, view, 1.0)[view.start_windows - 1 :, :, :-1]
    blocks = seen.reshape(len(seen), _STREAMS, -1, directions)
    far = np.abs(blocks[:, :, middle] - blocks[:, :, -1])
    usual = np.maximum(np.sqrt((far**2).mean(axis=(0, 1), dtype=np.float64)), _STILL)
    worst = (far / usual).max(axis=(0, 2))
    limit: Array = usual * np.quantile(worst, 1.0 - _BY_CHANCE)
    return limit
