"""A model of remaining life for machines whose slow channels were followed to many failures.

Members that know all machines make the model. Before, one member for each fold is learned without that part of the
machines, its directions and made-up machines too. What those say of the machines that they do not know gives the
widening and the honest figures. A single member errs more than their mean, so both are on the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import DataInsufficient, WrongUse
from models.manifest import PROGNOSIS, TREND, Thresholds, output_shapes
from models.networks.fleet import FleetNetwork
from training.dataset import Dataset
from training.export import export
from training.fleet.figures import Said, figures, widening
from training.fleet.learn import FleetConfig, learn
from training.lives import Life
from training.model import Model, Say, lineage
from training.repeatable import repeatable

_OUTPUTS = (*PROGNOSIS, TREND)


def train_fleet(dataset: Dataset, config: FleetConfig, *, seed: int, say: Say) -> Model:
    """Train on `dataset`; the same dataset, configuration and seed give the same ONNX bytes.

    Raises `DataInsufficient` where there are fewer machines than two a fold, `WrongUse` where the view's first length
    is not a single window: machines are made up reading by reading.
    """
    if len(dataset.machines) < 2 * config.folds:
        raise DataInsufficient(f"{len(dataset.machines)} machines have failed, at least {2 * config.folds} are needed")
    if config.view.lengths[0] != 1.0:
        raise WrongUse(f"the view's first length is {config.view.lengths[0]:g} windows", mend="let it begin with 1")
    say(f"{sum(len(x.age_s) for x in dataset.lives)} windows of {len(dataset.machines)} failed machines")
    with repeatable(seed):
        random = np.random.default_rng(seed)
        judged = _judged(dataset, config, random)
        wider = widening(judged, config.cap_s)
        final = learn(dataset.lives, config, config.members, random)
        known = [_asked(final, x, 0, config, random) for x in dataset.lives]
        final.widening.fill_(wider / config.cap_s)
    probe = np.concatenate(
        [x.condition[np.linspace(0, len(x.condition) - 1, 8).astype(int)] for x in dataset.lives[:8]]
    )
    evaluation, answers = figures(judged, known, wider, config.cap_s)
    data, parity = export(final, probe, output_shapes(_OUTPUTS))
    return Model(
        onnx=data,
        features=config.features,
        view=config.view,
        inputs=dataset.inputs,
        outputs=_OUTPUTS,
        thresholds=Thresholds(warn=config.warn, act=config.act),
        coverage=f"90 % of random cuts of {len(dataset.machines)} left-out machines",
        evaluation=evaluation | {"classes": _classes(dataset)},
        parity_max_abs=parity,
        lineage=lineage(dataset.digest, dataset.machines, config, seed),
        probe=probe,
        answers=answers,
    )


def _judged(dataset: Dataset, config: FleetConfig, random: np.random.Generator) -> list[Said]:
    """What is said of each life by a member that knows none of its fold."""
    fold = _folds(dataset, config, random)
    judged = []
    for f in range(config.folds):
        network = learn([x for x, own in zip(dataset.lives, fold, strict=True) if own != f], config, 1, random)
        left_out = (x for x, own in zip(dataset.lives, fold, strict=True) if own == f)
        judged += [_asked(network, life, f, config, random) for life in left_out]
    return judged


def _folds(dataset: Dataset, config: FleetConfig, random: np.random.Generator) -> Sequence[int]:
    """The fold of each life, by machine."""
    machines = dataset.machines
    of = dict(zip(machines, (random.permutation(len(machines)) % config.folds).tolist(), strict=True))
    return [of[life.machine] for life in dataset.lives]


def _asked(network: FleetNetwork, life: Life, fold: int, config: FleetConfig, random: np.random.Generator) -> Said:
    """The answers at random cuts, remaining life up to 1.16 caps; not widened."""
    near = np.flatnonzero(life.rul_s <= 1.16 * config.cap_s)
    at: NDArray[np.intp] = np.sort(random.choice(near, config.cuts))
    with torch.no_grad():
        condition = torch.from_numpy(life.condition[at])
        scaled, dated = network.scaled(condition), network.trend(condition.double()).numpy() >= 1.0
        said = network.members(scaled.unsqueeze(0)).mean(dim=0).numpy()
    ends = np.stack([said[:, 0] - said[:, 1], said[:, 0], said[:, 0] + said[:, 2]], axis=1) * config.cap_s
    return Said(life.machine, fold, life.age_s[at], life.rul_s[at], dated, ends.astype(np.float64))


def _classes(dataset: Dataset) -> dict[str, int]:
    worn = np.concatenate([life.degradation for life in dataset.lives]) >= 0.5
    return {"healthy": int((~worn).sum()), "worn": int(worn.sum())}
