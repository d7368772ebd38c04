"""Machines that never were, worn as the fleet's machines wore: what a network learns a hundred lives' physics from.

A fleet of a hundred lives is learned by heart, noise and all. Made-up machines have other noise each time, and lives
between those that were seen: each takes after one machine, moved along the difference of two others that failed in a
like way (a smoothed bootstrap, Silverman 1986). So ways to fail are not mixed, and whatever goes together in the
fleet (a worn start and a short life) goes together here. They are remembered by the class that the device uses.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.history import FloatArray
from models.memory import Memory, MemoryConfig
from training.fleet.wear import GROWTHS, Array, Worn, curve

_ALIKE = 10  # machines that failed most alike
_FARTHEST = 1.5  # no life is longer than the longest times this, or shorter than the shortest through it


def made_up(
    fleet: Worn, count: int, view: MemoryConfig, *, window_s: float, moved: float, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return what `count` machines remember (N, D), a row a window of each life, and the seconds left (N,).

    `moved`: how far each is moved along the difference of two others, times a normal number. D = E (K + 1) + 1 for K
    lengths of memory.
    """
    windows, readings = _draw(fleet, count, moved, random)
    seen = remembered(readings, view, window_s)  # (T, count, D)
    left = windows[None] - 1 - np.arange(len(readings))[:, None]
    there = (left >= 0) & (np.arange(len(readings))[:, None] >= view.start_windows - 1)
    return seen[there], (left[there] * window_s).astype(np.float32)


def _draw(
    fleet: Worn, count: int, moved: float, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lengths (count,) in windows, and readings (T, count, E) of which those after a life's end mean nothing."""
    machines, directions = fleet.step.shape
    lives = np.column_stack([np.log(fleet.windows), fleet.growth, fleet.offset, fleet.step])
    far = ((fleet.step[:, None] - fleet.step[None]) ** 2).sum(axis=-1)
    alike = np.argsort(far, axis=1, kind="stable")[:, 1 : _ALIKE + 1]
    after = random.integers(machines, size=count)
    one, other = (alike[after, random.integers(alike.shape[1], size=count)] for _ in range(2))
    drawn = lives[after] + moved * random.standard_normal((count, 1)) * (lives[one] - lives[other])
    shortest, longest = fleet.windows.min() / _FARTHEST, fleet.windows.max() * _FARTHEST
    windows = np.clip(np.exp(drawn[:, 0]), shortest, longest).round().astype(np.int64)
    growth = np.clip(drawn[:, 1], GROWTHS[0], GROWTHS[-1])
    share = np.minimum(np.arange(1, windows.max() + 1)[:, None] / windows, 1.0)  # (T, count)
    offset, step = drawn[:, 2 : 2 + directions], drawn[:, 2 + directions :]
    noise = fleet.noise[random.integers(len(fleet.noise), size=share.shape)]
    readings: Array = offset + curve(growth, share)[..., None] * step + noise
    return windows, readings


def remembered(readings: Array, view: MemoryConfig, window_s: float) -> FloatArray:
    """(T, count, E) -> (T, count, D): one memory of all machines at once, since it treats each series by itself."""
    steps, count, directions = readings.shape
    config = msgspec.structs.replace(view, channels=("all",))
    memory = Memory(tuple(str(i) for i in range(count * directions)), config)
    blocks = len(view.lengths) + 1
    seen = np.zeros((steps, count, blocks * directions + 1), np.float32)
    for t in range(steps):
        condition = memory.update(t * window_s, {"all": readings[t].ravel()})
        if condition is not None:
            series = condition[:-1].reshape(blocks, count, directions)
            seen[t, :, :-1] = series.transpose(1, 0, 2).reshape(count, -1)
            seen[t, :, -1] = condition[-1]
    return seen
