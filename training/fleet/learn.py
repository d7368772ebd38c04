"""From lives to a network: it learns from machines that were made up after them (`training/fleet/made_up.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from torch import Tensor

from models.history import FloatArray
from models.memory import MemoryConfig
from models.networks.fleet import FARTHEST, FleetNetwork
from training.config import TrainingConfig
from training.fleet.directions import directions
from training.fleet.made_up import made_up
from training.fleet.trend import moved
from training.fleet.wear import Array, Worn, worn
from training.lives import Life

_STILL = 1e-6  # an input that never moved is scaled as if it moved this much


class FleetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is learned and how long; all of it enters the model's lineage."""

    view: MemoryConfig = MemoryConfig()
    features: tuple[str, ...] = ("level@1",)
    cap_s: float = 0.0  # remaining life is learned up to here, p95 to twice as far; 0: a share of the median life
    directions: int = 3  # of the channels together, that the members see
    made_up: int = 1500  # machines to learn from
    moved: float = 0.6  # each from one that was, along the difference of two like it
    members: int = 4
    folds: int = 5
    steps: int = 8000
    batch: int = 256  # rows a member sees in a step
    learning_rate: float = 5e-3  # rises over the first tenth of the steps and falls to 0 along a cosine
    weight_decay: float = 1e-3
    cuts: int = 5  # of each life, at random, where it is judged
    warn: float = 0.6  # degradation: 40 % of the cap is left
    act: float = 0.8

    def rows(self) -> TrainingConfig:
        """How feature rows become lives."""
        return TrainingConfig(
            features=self.features, view=self.view, rul_shares=(0.0, 1.0), fewest_machines=2 * self.folds
        )


def learn(lives: Sequence[Life], config: FleetConfig, members: int, random: np.random.Generator) -> FleetNetwork:
    """Return a network of so many members that knows these lives only; torch's own numbers are used as well."""
    series = len(config.view.channels) * len(config.features)
    readings = [life.condition[:, :series] for life in lives]  # the first length of memory is a single window
    location, mix = directions(readings, config.directions)
    window_s = float(np.median(np.concatenate([np.diff(life.age_s) for life in lives])))
    fleet = _worn(lives, [((r - location) @ mix).astype(np.float64) for r in readings], window_s)
    condition, left_s = made_up(
        fleet, config.made_up, config.view, window_s=window_s, moved=config.moved, random=random
    )
    mean, spread = condition.mean(axis=0, dtype=np.float64), condition.std(axis=0, dtype=np.float64)
    spread = np.maximum(spread, _STILL)
    network = FleetNetwork(lives[0].condition.shape[1], condition.shape[1], members)
    _see(network, location, mix, mean, spread)
    network.moved = torch.from_numpy(moved(fleet, mix, config.view, random.spawn(1)[0]))
    network.cap_s.fill_(config.cap_s)
    scaled = torch.from_numpy(((condition - mean) / spread).astype(np.float32))
    _descend(network, torch.clamp(scaled, -FARTHEST, FARTHEST), torch.from_numpy(left_s / config.cap_s), config)
    return network.eval()


def _worn(lives: Sequence[Life], along: Sequence[Array], window_s: float) -> Worn:
    windows = [float(life.age_s[0] + life.rul_s[0]) / window_s + 1.0 for life in lives]
    share = [(life.age_s / window_s + 1.0) / n for life, n in zip(lives, windows, strict=True)]
    return worn(along, share, windows)


def _see(network: FleetNetwork, location: FloatArray, mix: FloatArray, mean: Array, spread: Array) -> None:
    """Put into the graph how a condition becomes inputs: each block of it along the directions, then the age."""
    blocks = (len(network.location) - 1) // len(location)
    whole = np.zeros(network.mix.shape)
    whole[:-1, :-1] = np.kron(np.eye(blocks), mix)
    whole[-1, -1] = 1.0
    network.location.copy_(torch.from_numpy(np.append(np.tile(location, blocks), 0.0)))
    network.mix.copy_(torch.from_numpy(whole / spread))
    network.centre.copy_(torch.from_numpy(mean / spread))


def _descend(network: FleetNetwork, scaled: Tensor, left: Tensor, config: FleetConfig) -> None:
    """Fit all members at once, each to rows of its own; `left` (N,) in caps."""
    members = len(network.weights[0])
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps, pct_start=0.1
    )
    for _ in range(config.steps):
        at = torch.randint(len(left), (members, config.batch))
        optimiser.zero_grad()
        _loss(network.members(scaled[at]), left[at]).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimiser.step()
        schedule.step()


def _loss(said: Tensor, left: Tensor) -> Tensor:
    """Sum over the members: squared error of the median up to the cap, pinball loss of the ends around it."""
    capped, far = torch.clamp(left, max=1.0), torch.clamp(left, max=2.0)
    median = said[..., 0]
    loss = 2.0 * ((capped - median) ** 2)
    fixed = median.detach()  # the ends follow the median, never the other way round
    for share, end, truth in ((0.05, fixed - said[..., 1], capped), (0.95, fixed + said[..., 2], far)):
        error = truth - end
        loss = loss + torch.maximum(share * error, (share - 1.0) * error)
    return loss.mean(dim=1).sum()
