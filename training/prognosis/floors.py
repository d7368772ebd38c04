"""The floors: what anyone can say without a model, learned from the same machines in the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.lives import Life
from training.metrics import Array, rows_at

_ENDS = (0.05, 0.95)


class Floor(Protocol):
    """Says a remaining life from the age alone."""

    def predict(self, age_s: Array) -> Array:
        """(k,) -> (k, 3) seconds: p05, p50, p95."""
        ...


@dataclass(frozen=True, slots=True)
class ConstantFloor:
    """The same remaining life, always: the best constant of the training machines."""

    quantiles: tuple[float, float, float]

    @classmethod
    def fit(cls, lives: Sequence[Life], cuts: tuple[float, ...]) -> ConstantFloor:
        """The median has the least absolute error; the ends are the empirical quantiles."""
        truth = np.concatenate([life.rul_s[rows_at(life, cuts)] for life in lives])
        low, high = np.quantile(truth, _ENDS)
        return cls((float(low), float(np.median(truth)), float(high)))

    def predict(self, age_s: Array) -> Array:
        """(k,) -> (k, 3) seconds."""
        return np.tile(self.quantiles, (len(age_s), 1))


@dataclass(frozen=True, slots=True)
class AgeFloor:
    """Remaining life is k times the age so far: the best k of the training machines."""

    factors: tuple[float, float, float]

    @classmethod
    def fit(cls, lives: Sequence[Life], cuts: tuple[float, ...]) -> AgeFloor:
        """The k of the least absolute error is the median of RUL / age, weighted by age."""
        truth = np.concatenate([life.rul_s[rows_at(life, cuts)] for life in lives])
        age = np.concatenate([life.age_s[rows_at(life, cuts)] for life in lives])
        ratio = truth / np.maximum(age, 1.0)
        order = np.argsort(ratio)
        half = np.searchsorted(np.cumsum(age[order]), age.sum() / 2)
        low, high = np.quantile(ratio, _ENDS)
        return cls((float(low), float(np.clip(ratio[order][half], low, high)), float(high)))

    def predict(self, age_s: Array) -> Array:
        """(k,) -> (k, 3) seconds."""
        return np.asarray(age_s[:, None] * np.array(self.factors))


def rms_score(life: Life, inputs: Sequence[str]) -> NDArray[np.floating]:
    """(n,) the RMS rule's score: log of the averaged RMS of the worst channel over its own baseline."""
    if "rms@1:fast" not in inputs:
        return np.zeros(len(life.age_s))
    return life.condition[:, list(inputs).index("rms@1:fast")]
