"""What is decided from machines that a fit did not see: widening and alarm thresholds.

Each function takes answers about left-out machines only, so it serves the final model and, with one machine less, the
honest evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.networks.condition import UNIT_S
from training.config import TrainingConfig
from training.lives import Life
from training.metrics import Array, covered, null_answer, rows_at, sustained
from training.prognosis.fit import Weights
from training.prognosis.folds import Answers
from training.prognosis.physics import log_ratio

_WIDENINGS = np.arange(0.0, 4.01, 0.02)  # of the log ratio; 4 is a factor of 55
_COVERAGE = 0.9
GUARANTEED_FROM = 9  # machines; with fewer, no rank among them is a 90 % bound for the next one


@dataclass(frozen=True, slots=True)
class Adjustment:
    """How much a network's interval is widened (log ratio).

    The same arithmetic as in `ConditionNetwork.forward`, where it goes with the final model.
    """

    widening: float

    def apply(self, answers: Answers, rows: NDArray[np.intp]) -> Array:
        """The adjusted quantiles at some rows, `null_answer` where there is no estimate: (k, 3) seconds."""
        age = answers.life.age_s[rows, None]
        ratios = log_ratio(answers.rul_s[rows].astype(np.float64), age) + self.widening * np.array([-1.0, 0.0, 1.0])
        told = np.maximum((age + UNIT_S) * np.exp(ratios) - UNIT_S, 0.0)
        return np.where(answers.trend[rows, None] >= 1.0, told, null_answer(age[:, 0]))


@dataclass(frozen=True, slots=True)
class Limits:
    """Alarm limits of a score."""

    warn: float
    act: float


def choose_adjustment(answers: Sequence[Answers], config: TrainingConfig) -> Adjustment:
    """Return the smallest widening at which 90 % of the estimates at left-out cuts hold, over all machines."""
    for widening in _WIDENINGS:
        inside = np.concatenate([_inside(a, Adjustment(float(widening)), config) for a in answers])
        if not inside.size or inside.mean() >= _COVERAGE:
            return Adjustment(float(widening))
    return Adjustment(float(_WIDENINGS[-1]))


def choose_limits(
    scores: Sequence[tuple[Life, NDArray[np.floating]]],
    config: TrainingConfig,
    *,
    margin: float,
    lowest: float = 0.0,
    highest: float,
) -> Limits:
    """Return the limits that keep the false-alarm budget on these machines, each with a margin.

    A warning before `early_share` of a life is false, an "act now" before `act_share`; where the crew found nothing,
    both always are. The limit is the quantile 1 - `early_budget` over machines of the highest sustained score before
    (linear between machines).
    """
    warn = _limit(scores, config.early_share, config)
    act = _limit(scores, config.act_share, config)
    warn = min(max(warn + margin, lowest), highest)
    return Limits(warn, min(max(act, warn) + margin, highest))


def _limit(scores: Sequence[tuple[Life, NDArray[np.floating]]], before: float, config: TrainingConfig) -> float:
    worst: dict[str, float] = {}
    for life, score in scores:
        held = sustained(score, config.on_delay_windows)[life.share < before]
        worst[life.machine] = max(worst.get(life.machine, 0.0), float(held.max(initial=0.0)))
    return float(np.quantile(list(worst.values()), 1.0 - config.early_budget))


def _inside(answers: Answers, adjustment: Adjustment, config: TrainingConfig) -> NDArray[np.bool_]:
    rows = rows_at(answers.life, config.cuts)
    rows = rows[answers.trend[rows] >= 1.0]
    quantiles = adjustment.apply(answers, rows)
    return covered(answers.life.rul_s[rows], quantiles[:, 0], quantiles[:, 2])


def promise(machines: int) -> str:
    """What the intervals promise, as the manifest says it."""
    if machines < GUARANTEED_FROM:
        return f"not guaranteed: {machines} machines"
    return f"90 % of the left-out cuts of {machines} machines; not of every machine"


def adjust(weights: Weights, adjustment: Adjustment) -> Weights:
    """Write the widening into the weights, so that it travels inside the graph."""
    ends = np.array([-adjustment.widening, 0.0, adjustment.widening], dtype=np.float32)
    return {**weights, "widening": ends}
