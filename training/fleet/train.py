"""A model of remaining life for machines whose slow channels were followed to many failures.

Members that see all machines make the model; beside them, in the same descent, one member per fold does not see a part
of the machines. What those say of the machines they did not see gives the widening and the honest figures. A single
member errs more than their mean, so both are on the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import DataInsufficient
from models.manifest import PROGNOSIS, Thresholds, output_shapes
from models.memory import MemoryConfig
from models.networks.fleet import FleetNetwork
from training.config import TrainingConfig
from training.dataset import Dataset, Life
from training.export import export
from training.fleet.directions import directions
from training.fleet.figures import Said, figures, widening
from training.model import Model, Say, lineage
from training.repeatable import repeatable


class FleetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is learned and how long; all of it enters the model's lineage."""

    view: MemoryConfig
    features: tuple[str, ...] = ("level@1",)
    cap_s: float  # remaining life is learned up to here; p95 to twice as far
    directions: int = 2  # of the channels together, that the members see
    members: int = 4
    folds: int = 5
    steps: int = 6000
    batch: int = 256  # rows a member sees in a step
    learning_rate: float = 2e-3  # rises over the first tenth of the steps and falls to 0 along a cosine
    weight_decay: float = 1e-3
    dropout: float = 0.1
    cuts: int = 5  # of each life, at random, where it is judged
    warn: float = 0.6  # degradation: 40 % of the cap is left
    act: float = 0.8

    def rows(self) -> TrainingConfig:
        """How feature rows become lives."""
        return TrainingConfig(
            features=self.features, view=self.view, rul_shares=(0.0, 1.0), fewest_machines=2 * self.folds
        )


def train_fleet(dataset: Dataset, config: FleetConfig, *, seed: int, say: Say) -> Model:
    """Train on `dataset`; the same dataset, configuration and seed give the same ONNX bytes.

    Raises `DataInsufficient` where there are fewer machines than two a fold.
    """
    if len(dataset.machines) < 2 * config.folds:
        raise DataInsufficient(f"{len(dataset.machines)} machines have failed, at least {2 * config.folds} are needed")
    say(f"{sum(len(x.age_s) for x in dataset.lives)} windows of {len(dataset.machines)} failed machines")
    with repeatable(seed):
        random = np.random.default_rng(seed)
        fold = _folds(dataset, config, random)
        network = _descend(dataset.lives, fold, config)
        judged = _judge(network, dataset.lives, fold, config, random)
        wider = widening(judged, config.cap_s)
        final = _all_machines(network, config, wider / config.cap_s)
    probe = np.concatenate(
        [x.condition[np.linspace(0, len(x.condition) - 1, 8).astype(int)] for x in dataset.lives[:8]]
    )
    data, parity = export(final, probe, output_shapes(PROGNOSIS))
    return Model(
        onnx=data,
        features=config.features,
        view=config.view,
        inputs=dataset.inputs,
        outputs=PROGNOSIS,
        thresholds=Thresholds(warn=config.warn, act=config.act),
        coverage=f"90 % of random cuts of {len(dataset.machines)} left-out machines",
        evaluation=figures(judged, wider, config.cap_s) | _seen(dataset),
        parity_max_abs=parity,
        lineage=lineage(dataset.digest, dataset.machines, config, seed),
        probe=probe,
    )


def _folds(dataset: Dataset, config: FleetConfig, random: np.random.Generator) -> NDArray[np.intp]:
    """The fold of each life, by machine."""
    machines = dataset.machines
    of = dict(zip(machines, random.permutation(len(machines)) % config.folds, strict=True))
    return np.array([of[life.machine] for life in dataset.lives], np.intp)


def _descend(lives: Sequence[Life], fold: NDArray[np.intp], config: FleetConfig) -> FleetNetwork:
    """Fit all members at once: those of the folds first, each without its fold, then those that see every machine."""
    rows = np.concatenate([np.full(len(life.age_s), f) for life, f in zip(lives, fold, strict=True)])
    seen_at = np.concatenate([life.condition for life in lives])
    condition = torch.from_numpy(seen_at)
    location, mix = directions(seen_at, len(config.view.channels) * len(config.features), config.directions)
    left = torch.from_numpy(np.concatenate([life.rul_s for life in lives]).astype(np.float32)) / config.cap_s
    network = FleetNetwork(mix.shape[0], mix.shape[1], config.folds + config.members, dropout=config.dropout)
    network.location.copy_(torch.from_numpy(location))
    network.mix.copy_(torch.from_numpy(mix))
    network.cap_s.fill_(config.cap_s)
    seen = [torch.from_numpy(np.flatnonzero(rows != f)) for f in range(config.folds)]
    seen += [torch.arange(len(rows))] * config.members
    scaled = network.scaled(condition)
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps, pct_start=0.1
    )
    network.train()
    for _ in range(config.steps):
        at = torch.stack([own[torch.randint(len(own), (config.batch,))] for own in seen])
        optimiser.zero_grad()
        _loss(network.members(scaled[at]), left[at]).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimiser.step()
        schedule.step()
    return network.eval()


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


def _judge(
    network: FleetNetwork,
    lives: Sequence[Life],
    fold: NDArray[np.intp],
    config: FleetConfig,
    random: np.random.Generator,
) -> list[Said]:
    """What the folds' members say of the lives they did not see, at random cuts: remaining life up to 1.16 caps."""
    judged = []
    for life, f in zip(lives, fold, strict=True):
        near = np.flatnonzero(life.rul_s <= 1.16 * config.cap_s)
        at = np.sort(random.choice(near, config.cuts))
        with torch.no_grad():
            said = network.members(network.scaled(torch.from_numpy(life.condition[at])).unsqueeze(0))[f].numpy()
        ends = np.stack([said[:, 0] - said[:, 1], said[:, 0], said[:, 0] + said[:, 2]], axis=1) * config.cap_s
        judged.append(Said(life.machine, int(f), life.age_s[at], life.rul_s[at], ends.astype(np.float64)))
    return judged


def _all_machines(network: FleetNetwork, config: FleetConfig, wider: float) -> FleetNetwork:
    """The members that saw every machine, as the network of the device."""
    final = FleetNetwork(network.mix.shape[0], network.mix.shape[1], config.members)
    state = {name: v[config.folds :] if v.dim() == 3 else v for name, v in network.state_dict().items()}
    final.load_state_dict(state)
    final.widening.fill_(wider)
    return final.eval()


def _seen(dataset: Dataset) -> dict[str, Any]:
    worn = np.concatenate([life.degradation for life in dataset.lives]) >= 0.5
    return {"split": "machine", "classes": {"healthy": int((~worn).sum()), "worn": int(worn.sum())}}
