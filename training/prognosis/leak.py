"""The figure that most of this field publishes: windows of one machine on both sides of the split.

It stands in the card beside the honest one, so that whoever compares this model with a paper compares like with like.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from training.config import TrainingConfig
from training.dataset import Dataset, Life
from training.metrics import covered, rows_at, winkler
from training.prognosis.calibrate import choose_adjustment
from training.prognosis.fit import answer, fit
from training.prognosis.folds import Answers

_LEARNED = 0.8  # of the windows, drawn at random


def leaking_figures(dataset: Dataset, config: TrainingConfig, seed: int) -> dict[str, Any]:
    """Fit on windows drawn at random from all lives, and judge at the usual cuts, which it did not see.

    Their neighbours it did see, a few windows away. The measures are those of `training.prognosis.evaluate.summarise`.
    """
    random = np.random.default_rng(seed)
    weights = fit([_some(life, config, random) for life in dataset.lives], config, seed)
    answers = [Answers(life, *answer(weights, life.condition), weights["prior"]) for life in dataset.lives]
    adjustment = choose_adjustment(answers, config)
    found: dict[str, list[tuple[float, ...]]] = {}
    for item in answers:
        rows = rows_at(item.life, config.cuts)
        truth, q = item.life.rul_s[rows], adjustment.apply(item, rows)
        parts = (np.abs(q[:, 1] - truth), winkler(truth, q[:, 0], q[:, 2]), covered(truth, q[:, 0], q[:, 2]))
        found.setdefault(item.life.machine, []).append(tuple(float(part.mean()) for part in parts))
    error, score, inside = np.mean([np.mean(values, axis=0) for values in found.values()], axis=0).round(3).tolist()
    return {"split": "window", "rul_mae_s": error, "rul_winkler_s": score, "rul_coverage": inside}


def _some(life: Life, config: TrainingConfig, random: np.random.Generator) -> Life:
    """The life with four fifths of its windows, never those at the cuts."""
    kept = random.random(len(life.age_s)) < _LEARNED
    kept[rows_at(life, config.cuts)] = False
    return replace(
        life,
        condition=life.condition[kept],
        age_s=life.age_s[kept],
        rul_s=life.rul_s[kept],
        degradation=life.degradation[kept],
    )
