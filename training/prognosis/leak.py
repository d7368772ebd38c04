"""The figure that most of this field publishes: windows of one machine on both sides of the split.

It stands in the card beside the honest one, so that whoever compares this model with a paper compares like with like.
Both are of the network by itself. In the model physics decides whether the network is heard at all, and remaining life
rests on eight numbers: those leak next to nothing, and would hide what a random split does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import TrainingConfig
from training.dataset import Dataset
from training.lives import Life
from training.prognosis.evaluate import constant_error, degradation_error, mean_over_machines
from training.prognosis.fit import Weights, answer_of_network, fit
from training.prognosis.folds import Groups, Left

_LEARNED = 0.8  # of the windows, drawn at random


def network_alone(
    dataset: Dataset, groups: Groups, weights: Mapping[Left, Weights], config: TrainingConfig, seed: int
) -> dict[str, Any]:
    """The mean squared error of degradation by the network alone on machines left out, and on a leaking split.

    For the latter it learns from windows drawn at random from all lives, and is judged on the others, whose neighbours
    it saw.
    """
    honest = _error(
        (life, weights[frozenset({number})]) for number, group in enumerate(groups) for life in dataset.of(group)
    )
    random = np.random.default_rng(seed)
    learned = [random.random(len(life.age_s)) < _LEARNED for life in dataset.lives]
    seen = [_some(life, kept) for life, kept in zip(dataset.lives, learned, strict=True)]
    unseen = [_some(life, ~kept) for life, kept in zip(dataset.lives, learned, strict=True)]
    leaking = fit(seen, config, seed)
    return {
        "network_alone_mse": {"ours": honest, "constant": round(constant_error(dataset, dataset.lives), 6)},
        "leaking_split": {"split": "window", "network_alone_mse": _error((life, leaking) for life in unseen)},
    }


def _error(answered: Iterable[tuple[Life, Weights]]) -> float:
    errors = [
        (life.machine, degradation_error(life, answer_of_network(weights, life.condition)))
        for life, weights in answered
        if life.age_s.size
    ]
    return round(mean_over_machines(errors), 6)


def _some(life: Life, kept: NDArray[np.bool_]) -> Life:
    """The life with some of its windows."""
    return replace(
        life,
        condition=life.condition[kept],
        age_s=life.age_s[kept],
        rul_s=life.rul_s[kept],
        degradation=life.degradation[kept],
    )
