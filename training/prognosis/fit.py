"""One fit: lives in, weights out. The same function runs in this process and as a task on a cluster.

Nothing here is random but by the seed, and one thread does the sums, so the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.networks.condition import QUANTILES, UNIT_S, ConditionNetwork
from training.config import TrainingConfig
from training.dataset import FloatArray, Life
from training.repeatable import repeatable

Weights = Mapping[str, NDArray[np.float32]]  # a state dict, as plain arrays
_STILL = 1e-6  # an input that never moved is scaled as if it moved this much


def fit(lives: Sequence[Life], config: TrainingConfig, seed: int) -> Weights:
    """Fit a network to some machines' lives and return its weights, scaler and prior included."""
    with repeatable(seed):
        rows = _Rows.of(lives, config)
        network = ConditionNetwork(rows.condition.shape[1], dropout=config.dropout)
        _set_scales(network, rows.condition, rows.ratio[rows.counts])
        _descend(network, rows, config)
        return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def load(weights: Weights) -> ConditionNetwork:
    """A network with these weights, ready to answer (dropout off)."""
    network = ConditionNetwork(weights["location"].shape[0] + 1)
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    return network.eval()


def answer(weights: Weights, condition: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(n, D) -> degradation (n,), rul_s (n, 3)."""
    with repeatable(0), torch.no_grad():
        degradation, rul_s = load(weights)(torch.from_numpy(np.array(condition)))
        return degradation.numpy(), rul_s.numpy()


def log_ratio(rul_s: NDArray[np.float64], age_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the network learns of remaining life; (n,) -> (n,)."""
    return np.log((rul_s + UNIT_S) / (age_s + UNIT_S))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Evenly spaced rows of each life, R in all."""

    condition: Tensor  # (R, D)
    ratio: Tensor  # (R,) log ratio of remaining life to age
    degradation: Tensor  # (R,)
    counts: Tensor  # (R,) whether remaining life is learned from the row

    @classmethod
    def of(cls, lives: Sequence[Life], config: TrainingConfig) -> _Rows:
        low, high = config.rul_shares
        parts = []
        for life in lives:
            rows = np.unique(np.linspace(0, len(life.age_s) - 1, config.rows_per_life).round().astype(int))
            share = life.share[rows]
            ratio = log_ratio(life.rul_s[rows], life.age_s[rows]).astype(np.float32)
            parts.append((life.condition[rows], ratio, life.degradation[rows], (share >= low) & (share <= high)))
        return cls(*(torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)))


def _set_scales(network: ConditionNetwork, condition: Tensor, ratio: Tensor) -> None:
    network.location.copy_(condition[:, :-1].mean(dim=0))
    network.scale.copy_(condition[:, :-1].std(dim=0).clamp(min=_STILL))
    network.prior.copy_(torch.quantile(ratio, torch.tensor(QUANTILES)))


def _descend(network: ConditionNetwork, rows: _Rows, config: TrainingConfig) -> None:
    """Full-batch AdamW on pinball loss (remaining life) and cross-entropy (degradation)."""
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(config.steps, 1))
    quantiles = torch.tensor(QUANTILES)
    spread = torch.cat([network.scale, torch.zeros(1)]) * config.input_noise  # the age is known exactly
    network.train()
    for _ in range(config.steps):
        wear, ratios = network.ratios(rows.condition + spread * torch.randn_like(rows.condition))
        error = rows.ratio[rows.counts, None] - ratios[rows.counts]
        pinball = torch.maximum(quantiles * error, (quantiles - 1.0) * error).mean()
        loss = config.rul_weight * pinball + nn.functional.binary_cross_entropy_with_logits(wear, rows.degradation)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships it without types
        optimiser.step()
        schedule.step()
