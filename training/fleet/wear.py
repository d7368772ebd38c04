"""How each machine of a fleet wore: a few numbers a life, and what they do not explain.

Damage that grows by a share of itself moves a reading by a step (e^(k s) - 1) / (e^k - 1) from where it began, with s
the share of the life that is over (damage propagation: Saxena, Goebel, Simon & Eklund 2008, from whom the simulated
turbofans are). A small k is nearly a straight line, so slower ways to wear are in the family, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
GROWTHS = np.arange(1.0, 8.01, 0.25)  # of k, that are tried


@dataclass(frozen=True, slots=True)
class Worn:
    """M lives in E directions."""

    windows: Array  # (M,) of the whole life
    growth: Array  # (M,) k
    offset: Array  # (M, E) where the readings began
    step: Array  # (M, E) how far they were when the machine failed
    noise: Array  # (N, E) what is left of every reading


def curve(growth: Array, share: Array) -> Array:
    """The step's share that is made when this share of the life is over: 0 at the start, 1 at the failure."""
    grown: Array = np.expm1(growth * share) / np.expm1(growth)
    return grown


def worn(readings: Sequence[Array], share: Sequence[Array], windows: Sequence[float]) -> Worn:
    """Fit each life by least squares at the best of `GROWTHS`.

    Readings (n, E) of each, at shares (n,) of a life of so many windows.
    """
    fits = [_fit(y, s) for y, s in zip(readings, share, strict=True)]
    growth, offset, step, noise = zip(*fits, strict=True)
    return Worn(np.array(windows), np.array(growth), np.stack(offset), np.stack(step), np.concatenate(noise))


def _fit(readings: Array, share: Array) -> tuple[float, Array, Array, Array]:
    grown = curve(GROWTHS[:, None], share)  # (G, n)
    moved, said = grown - grown.mean(axis=1, keepdims=True), readings - readings.mean(axis=0)
    power = np.maximum((moved**2).sum(axis=1, keepdims=True), 1e-12)
    steps = moved @ said / power  # (G, E)
    best = int((steps**2 * power).sum(axis=1).argmax())  # what explains most leaves least
    noise = said - moved[best][:, None] * steps[best]
    offset = readings.mean(axis=0) - grown[best].mean() * steps[best]
    return float(GROWTHS[best]), offset, steps[best], noise
