"""What is known of wear before anything is fitted, and how long machines had left once it showed.

Eight numbers from a handful of lives: more of them did worse on every machine left out (`training/LOG.md`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.features import CATALOGUE, Deviation
from models.history import FloatArray
from models.networks.condition import MOST_STEPS, QUANTILES, SHOWS, UNIT_S, ConditionNetwork
from training.config import TrainingConfig
from training.lives import Life

Array = NDArray[np.float64]
AGREEMENT = (
    *("rms@1", "peak@1", "crest@1", "kurtosis@1", "shape@1", "envelope_rms@1"),
    *("band1_rms@1", "band2_rms@1", "band3_rms@1", "band4_rms@1", "band5_rms@1"),
)
LEVEL = ("rms@1", "band5_rms@1")
# A healthy machine's features differ by some 10 % between days; of a shape that is 10 % of its Gaussian value.
_SPREAD = 0.1
_SHAPES = {"crest@1": 4.0, "kurtosis@1": 3.0, "shape@1": 1.2533}
_STILL = 1e-6  # variance of a severity that never moved, spread of a feature that never did


def set_physics(network: ConditionNetwork, features: Sequence[str], lives: Sequence[Life]) -> None:
    """Tell a network what its features are: which have a say, and how far each moves on healthy machines."""
    known = [f in AGREEMENT for f in features]
    agreeing = known if any(known) else [True] * len(features)
    network.agreeing.copy_(torch.tensor(agreeing))
    network.level.copy_(torch.tensor([f in LEVEL for f in features]))
    for i, feature in enumerate(features):
        if agreeing[i]:
            network.spread[i] = _spread(feature, i, lives)


def _spread(feature: str, column: int, lives: Sequence[Life]) -> float:
    if feature in _SHAPES or CATALOGUE[feature].deviation is Deviation.RATIO:
        return _SPREAD * _SHAPES.get(feature, 1.0)
    healthy = np.concatenate([life.condition[life.degradation < 0.5, column] for life in lives]).astype(np.float64)
    return max(float(np.std(healthy)) if healthy.size else 0.0, _STILL)


def set_life(network: ConditionNetwork, lives: Sequence[Life], config: TrainingConfig) -> None:
    """Set the prior, and the line of remaining life by severity where damage shows: log ratios of life to age.

    Every machine weighs the same, however long its damage showed. The line's slope is by least squares, its ends are
    the quantiles of what is left over. One more machine stands for doubt: its damage told nothing beyond the prior.
    """
    low, high = config.prior_shares
    ratios = [log_ratio(life.rul_s, life.age_s) for life in lives]
    inside = [r[(x.share >= low) & (x.share <= high)] for x, r in zip(lives, ratios, strict=True)]
    prior = _quantiles([part for part in inside if part.size])
    steps, left = [], []
    for life, ratio in zip(lives, ratios, strict=True):
        severity = _severity(network, life.condition)
        shows = (severity >= SHOWS) & (life.share >= low)
        if shows.any():
            steps.append(np.minimum(np.log(severity[shows] / SHOWS), MOST_STEPS))
            left.append(ratio[shows])
    slope = _slope(steps, left)
    rest = [part - slope * step for part, step in zip(left, steps, strict=True)]
    network.prior.copy_(torch.from_numpy(prior))
    network.slope.fill_(slope)
    network.line.copy_(torch.from_numpy(_quantiles([*rest, np.concatenate(inside)])))


def log_ratio(rul_s: Array, age_s: Array) -> Array:
    """What is told of remaining life; (n,) -> (n,)."""
    return np.asarray(np.log((rul_s + UNIT_S) / (age_s + UNIT_S)))


def _severity(network: ConditionNetwork, condition: FloatArray) -> Array:
    with torch.no_grad():
        return np.asarray(network.severity(torch.from_numpy(np.array(condition))).numpy(), np.float64)


def _slope(steps: Sequence[Array], left: Sequence[Array]) -> float:
    """Least squares over machines that weigh the same; never above 0, and 0 where no damage showed."""
    if not left:
        return 0.0
    weights, x, y = _weights(left), np.concatenate(steps), np.concatenate(left)
    x = x - np.average(x, weights=weights)
    bent = float(weights @ x**2)
    return min(float(weights @ (x * y)) / max(bent, _STILL), 0.0)


def _quantiles(machines: Sequence[Array]) -> NDArray[np.float32]:
    """Quantiles over machines that weigh the same: (3,)."""
    values, weights = np.concatenate(machines), _weights(machines)
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return np.interp(QUANTILES, share / share[-1], values[order]).astype(np.float32)


def _weights(machines: Sequence[Array]) -> Array:
    return np.concatenate([np.full(len(part), 1.0 / len(part)) for part in machines])
