"""One fit of a network of faults: what some labelled recordings looked like, window by window, in; weights out.

Three kinds of example of the same recordings: as they were measured; with part of the impacts' timing destroyed, as
faint damage is; and with all of it destroyed, which leaves the spectrum and no line. The last teach the network what no
line looks like, and stand for the healthy machine where nobody recorded one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from models.features import DIAGNOSED
from models.history import FloatArray
from models.lines import LinesConfig
from models.networks.faults import FAULTS, LINES, FaultNetwork
from training.repeatable import repeatable

NORMAL, *PARTS = FAULTS
FEATURES = (*(s.id for s in DIAGNOSED), "kurtosis@1")


class FaultConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of a training; all of them enter the lineage."""

    features: tuple[str, ...] = FEATURES
    view: LinesConfig = LinesConfig()
    timings: tuple[float, ...] = (0.65, 0.5)  # how much of the impacts' timing faint examples keep
    steps: int = 300
    learning_rate: float = 2e-2
    weight_decay: float = 1e-2
    noise: float = 0.3  # on lines in their own unit, on shapes in standard deviations
    spread: float = 1.0  # how far familiarity reaches, in distances of left-out bearings
    warn: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One recording as the device's view saw it, window by window."""

    machine: str
    bearing: str  # the physical bearing: loads and speeds of one are never on both sides of a split
    fault: str  # one of FAULTS
    timing: float  # 1 as measured, less for faint, 0 for none
    condition: FloatArray  # (n, D)


def fit(examples: Sequence[Example], config: FaultConfig, seed: int) -> FaultNetwork:
    """Return a network of these examples; the same examples, settings and seed give the same weights."""
    with repeatable(seed):
        rows = _Rows.of(examples)
        known = np.stack([e.condition.mean(axis=0)[LINES:] for e in examples if e.timing == 1.0])
        network = FaultNetwork(rows.condition.shape[1], len(known))
        shapes = rows.condition[:, LINES:]
        network.location.copy_(shapes.mean(dim=0))
        network.scale.copy_(shapes.std(dim=0).clamp(min=1e-3))
        network.known.copy_((torch.from_numpy(known) - network.location) / network.scale)
        network.reach.fill_(config.spread * _reach(network.known.numpy(), examples))
        seen = {e.fault for e in examples}
        network.taught.copy_(torch.tensor([float(f == NORMAL or f in seen) for f in FAULTS]))
        _descend(network, rows, config)
        return network.eval()


@dataclass(frozen=True, slots=True)
class _Rows:
    condition: Tensor  # (R, D)
    part: Tensor  # (R,) outer, inner, neither
    part_weight: Tensor  # (R,) of the row in the loss of parts
    struck: Tensor  # (R,)
    struck_weight: Tensor  # (R,)

    @classmethod
    def of(cls, examples: Sequence[Example]) -> _Rows:
        healthy = any(e.fault == NORMAL for e in examples)
        parts, part_weights, struck, struck_weights = [], [], [], []
        for e in examples:
            kind = "none" if e.timing == 0.0 else e.fault
            parts.append("neither" if kind in {"none", "ball"} else kind)
            part_weights.append("" if kind == NORMAL else kind)
            struck.append(kind not in {NORMAL, "none"})
            struck_weights.append("" if kind == "none" and healthy else str(struck[-1]))
        n = [len(e.condition) for e in examples]
        of = ["outer_race", "inner_race", "neither"]
        return cls(
            torch.from_numpy(np.concatenate([e.condition for e in examples])),
            torch.from_numpy(np.repeat([of.index(p) if p in of else 2 for p in parts], n)),
            _balanced(part_weights, n),
            torch.from_numpy(np.repeat(np.array(struck, np.float32), n)),
            _balanced(struck_weights, n),
        )


def _balanced(classes: Sequence[str], n: Sequence[int]) -> Tensor:
    """Weights of rows: each class as much as another, each recording of a class too; "" takes no part."""
    count = Counter(c for c in classes if c)
    each = [1.0 / (count[c] * rows * len(count)) if c and rows else 0.0 for c, rows in zip(classes, n, strict=True)]
    return torch.from_numpy(np.repeat(np.array(each, np.float32), n))


def _reach(known: FloatArray, examples: Sequence[Example]) -> float:
    """The largest distance of a recording's shape from that of the nearest other bearing."""
    kept = [e for e in examples if e.timing == 1.0]
    bearings = np.array([e.bearing for e in kept])
    distance = np.sqrt(np.square(known[:, None] - known[None]).mean(axis=2))
    distance[bearings[:, None] == bearings[None]] = np.inf
    nearest = distance.min(axis=1)
    finite = nearest[np.isfinite(nearest)]
    return float(finite.max()) if finite.size else 1.0


def _descend(network: FaultNetwork, rows: _Rows, config: FaultConfig) -> None:
    noise = torch.cat([torch.ones(LINES), network.scale]) * config.noise
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(config.steps, 1))
    for _ in range(config.steps):
        parts, struck = network.logits(rows.condition + noise * torch.randn_like(rows.condition))
        which = nn.functional.cross_entropy(parts, rows.part, reduction="none")
        whether = nn.functional.binary_cross_entropy_with_logits(struck, rows.struck, reduction="none")
        loss = (rows.part_weight * which).sum() + (rows.struck_weight * whether).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def answer(network: FaultNetwork, condition: FloatArray) -> FloatArray:
    """(n, D) -> (n, 4) probabilities in the order of `FAULTS`."""
    with repeatable(0), torch.no_grad():
        fault: FloatArray = network(torch.from_numpy(np.array(condition)))[1].numpy()
        return fault
