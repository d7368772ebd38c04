"""What is decided from machines that a fit did not see: trust, widening and alarm thresholds.

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
from training.dataset import Life
from training.metrics import Array, covered, rows_at, sustained, winkler
from training.prognosis.fit import Weights, log_ratio
from training.prognosis.folds import Answers

_TRUSTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_WIDENINGS = np.arange(0.0, 4.01, 0.02)  # of the log ratio; 4 is a factor of 55
_COVERAGE = 0.9
GUARANTEED_FROM = 9  # machines; with fewer, no rank among them is a 90 % bound for the next one


@dataclass(frozen=True, slots=True)
class Adjustment:
    """How far a network is trusted on a machine without wear, and how much its interval is widened (log ratio).

    The same arithmetic as in `ConditionNetwork.forward`, where it goes with the final model.
    """

    trust: float
    widening: float

    def apply(self, answers: Answers, rows: NDArray[np.intp]) -> Array:
        """The adjusted quantiles at some rows: (k, 3) seconds."""
        age = answers.life.age_s[rows, None]
        ratios = log_ratio(answers.rul_s[rows].astype(np.float64), age)
        worn = answers.degradation[rows, None].astype(np.float64)
        trust = self.trust + (1.0 - self.trust) * worn
        ratios = answers.prior + trust * (ratios - answers.prior) + self.widening * np.array([-1.0, 0.0, 1.0])
        return np.asarray(np.maximum((age + UNIT_S) * np.exp(ratios) - UNIT_S, 0.0))


@dataclass(frozen=True, slots=True)
class Limits:
    """Alarm limits of a score."""

    warn: float
    act: float


def choose_adjustment(answers: Sequence[Answers], config: TrainingConfig) -> Adjustment:
    """Return the trust whose error and interval score, both in units of the prior's, are smallest together.

    For each trust, the widening is the smallest at which 90 % of the left-out cuts (up to rounding, over all machines)
    lie inside the interval. An even result goes to less trust.
    """
    none = _error(answers, Adjustment(0.0, 0.0), config)
    best, best_score = Adjustment(0.0, 0.0), np.inf
    for trust in _TRUSTS:
        adjustment = Adjustment(trust, _widening(answers, trust, config))
        error = _error(answers, adjustment, config)
        score = float((error / np.maximum(none, 1.0)).sum())
        if score < best_score - 1e-9:
            best, best_score = adjustment, score
    return best


def choose_limits(
    scores: Sequence[tuple[Life, NDArray[np.floating]]], config: TrainingConfig, *, margin: float, highest: float
) -> Limits:
    """Return the limits that keep the false-alarm budget on these machines, each with a margin.

    A warning before `early_share` of a life is false, an "act now" before `act_share`. The limit is the quantile
    1 - `early_budget` over machines of the highest sustained score before (linear between machines).
    """
    warn = _limit(scores, config.early_share, config)
    act = _limit(scores, config.act_share, config)
    warn = min(warn + margin, highest)
    return Limits(warn, min(max(act, warn) + margin, highest))


def _limit(scores: Sequence[tuple[Life, NDArray[np.floating]]], before: float, config: TrainingConfig) -> float:
    worst: dict[str, float] = {}
    for life, score in scores:
        held = sustained(score, config.on_delay_windows)[life.share < before]
        worst[life.machine] = max(worst.get(life.machine, 0.0), float(held.max(initial=0.0)))
    return float(np.quantile(list(worst.values()), 1.0 - config.early_budget))


def _widening(answers: Sequence[Answers], trust: float, config: TrainingConfig) -> float:
    for widening in _WIDENINGS:
        inside = [_inside(a, Adjustment(trust, float(widening)), config) for a in answers]
        if np.mean(np.concatenate(inside)) >= _COVERAGE:
            return float(widening)
    return float(_WIDENINGS[-1])


def _inside(answers: Answers, adjustment: Adjustment, config: TrainingConfig) -> NDArray[np.bool_]:
    rows = rows_at(answers.life, config.cuts)
    quantiles = adjustment.apply(answers, rows)
    return covered(answers.life.rul_s[rows], quantiles[:, 0], quantiles[:, 2])


def _error(answers: Sequence[Answers], adjustment: Adjustment, config: TrainingConfig) -> Array:
    """Mean absolute error and interval score, the mean over lives: (2,) seconds."""
    found = []
    for item in answers:
        rows = rows_at(item.life, config.cuts)
        truth, quantiles = item.life.rul_s[rows], adjustment.apply(item, rows)
        score = winkler(truth, quantiles[:, 0], quantiles[:, 2])
        found.append((np.abs(quantiles[:, 1] - truth).mean(), score.mean()))
    return np.asarray(np.mean(found, axis=0))


def promise(machines: int) -> str:
    """What the intervals promise, as the manifest says it."""
    if machines < GUARANTEED_FROM:
        return f"not guaranteed: {machines} machines"
    return f"90 % of the left-out cuts of {machines} machines; not of every machine"


def adjust(weights: Weights, adjustment: Adjustment) -> Weights:
    """Write trust and widening into the weights, so that they travel inside the graph."""
    ends = np.array([-adjustment.widening, 0.0, adjustment.widening], dtype=np.float32)
    return {**weights, "trust": np.array([adjustment.trust], dtype=np.float32), "widening": ends}
