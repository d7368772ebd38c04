"""A score learned from marked windows: ridge logistic regression on curves of departures; no seed enters it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.networks.departure import pieces
from training.anomaly.alarms import Array, Mask
from training.anomaly.config import AnomalyConfig
from training.anomaly.seen import Seen

_STEPS = 50  # Newton steps at most
_STILL = 0.05  # of a piece: one that is covered less, root mean square, is scaled as if it were so much


@dataclass(frozen=True, slots=True)
class Rows:
    """The marked windows of one machine."""

    curves: Array  # (m, P)
    faulty: Mask  # (m,)

    @classmethod
    def of(cls, seen: Seen) -> Rows:
        """Of a machine whose faults somebody has marked."""
        assert seen.faulty is not None
        return cls(pieces(torch.from_numpy(seen.condition)).numpy().astype(np.float64), seen.faulty)

    def some(self, kept: Mask) -> Rows:
        """Those windows that are kept."""
        return Rows(self.curves[kept], self.faulty[kept])


def fit(rows: Sequence[Rows], config: AnomalyConfig) -> tuple[Array, float]:
    """Weights (P,) and bias by Newton's method, of every so many windows; scaled by root mean squares."""
    x = np.concatenate([r.curves[:: config.every] for r in rows])
    y = np.concatenate([r.faulty[:: config.every] for r in rows]).astype(np.float64)
    scale = np.sqrt((x**2).mean(axis=0)) + _STILL
    x = np.column_stack([x / scale, np.ones(len(x))])
    ridge = np.diag([config.ridge * len(x)] * (x.shape[1] - 1) + [1e-9])
    w = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ w, -30.0, 30.0)))
        bend = np.maximum(p * (1.0 - p), 1e-4)
        step = np.linalg.solve((x * bend[:, None]).T @ x + ridge, x.T @ (y - p) - ridge @ w)
        w = w + step
        if np.abs(step).max() < 1e-8:
            break
    return w[:-1] / scale, float(w[-1])


def unseen_scores(rows: Sequence[Rows], config: AnomalyConfig) -> list[Array]:
    """Of each machine (m,), by a fit that it took no part in."""
    scores = []
    for i, own in enumerate(rows):
        weight, bias = fit([r for j, r in enumerate(rows) if j != i], config)
        scores.append(own.curves @ weight + bias)
    return scores


def limit_of(scores: Sequence[Array], rows: Sequence[Rows], config: AnomalyConfig) -> float:
    """What a share `false_share` of the healthy windows would pass."""
    healthy = np.concatenate([s[~r.faulty] for s, r in zip(scores, rows, strict=True)])
    return float(np.quantile(healthy, 1.0 - config.false_share)) if healthy.size else 0.0
