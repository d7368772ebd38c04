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

from models.history import FloatArray
from models.networks.condition import ConditionNetwork
from training.config import TrainingConfig
from training.lives import Life
from training.prognosis.physics import set_life, set_physics
from training.repeatable import repeatable

Weights = Mapping[str, NDArray[np.float32]]  # a state dict, as plain arrays
_STILL = 1e-6  # an input that never moved is scaled as if it moved this much


def fit(lives: Sequence[Life], config: TrainingConfig, seed: int) -> Weights:
    """Fit a network to some machines' lives and return its weights, with all that is in the graph beside them."""
    with repeatable(seed):
        rows = _Rows.of(lives, config)
        network = ConditionNetwork(rows.condition.shape[1], dropout=config.dropout)
        network.location.copy_(rows.condition[:, :-1].mean(dim=0))
        network.scale.copy_(rows.condition[:, :-1].std(dim=0).clamp(min=_STILL))
        set_physics(network, config.features, lives)
        set_life(network, lives, config)
        _descend(network, rows, config)
        return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def load(weights: Weights) -> ConditionNetwork:
    """A network with these weights, ready to answer (dropout off)."""
    network = ConditionNetwork(weights["location"].shape[0] + 1)
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    return network.eval()


def answer(weights: Weights, condition: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(n, D) -> degradation (n,), rul_s (n, 3), trend (n,)."""
    with repeatable(0), torch.no_grad():
        degradation, rul_s, trend = load(weights)(torch.from_numpy(np.array(condition)))
        return degradation.numpy(), rul_s.numpy(), trend.numpy()


def answer_of_network(weights: Weights, condition: FloatArray) -> FloatArray:
    """(n, D) -> (n,): how alike the network by itself finds the machine to the ends of lives, physics left out."""
    with repeatable(0), torch.no_grad():
        return torch.sigmoid(load(weights).wear_logit(torch.from_numpy(np.array(condition)))).numpy()


@dataclass(frozen=True, slots=True)
class _Rows:
    """Evenly spaced rows of each life, R in all."""

    condition: Tensor  # (R, D)
    degradation: Tensor  # (R,)

    @classmethod
    def of(cls, lives: Sequence[Life], config: TrainingConfig) -> _Rows:
        parts = []
        for life in lives:
            rows = np.unique(np.linspace(0, len(life.age_s) - 1, config.rows_per_life).round().astype(int))
            parts.append((life.condition[rows], life.degradation[rows]))
        return cls(*(torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)))


def _descend(network: ConditionNetwork, rows: _Rows, config: TrainingConfig) -> None:
    """Full-batch AdamW on the cross-entropy of degradation."""
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(config.steps, 1))
    spread = torch.cat([network.scale, torch.zeros(1)]) * config.input_noise  # the age is known exactly
    network.train()
    for _ in range(config.steps):
        wear = network.wear_logit(rows.condition + spread * torch.randn_like(rows.condition))
        loss = nn.functional.binary_cross_entropy_with_logits(wear, rows.degradation)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships it without types
        optimiser.step()
        schedule.step()
