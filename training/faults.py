"""Training of a model of faults: labelled recordings in, a graph out, judged on bearings that took no part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from models.errors import DataInsufficient
from models.lines import Lines
from models.manifest import DEGRADATION, FAULT, Lineage, Thresholds, output_shapes
from models.networks.faults import FAULTS
from training.export import export
from training.fault_fit import NORMAL, PARTS, Example, FaultConfig, answer, fit
from training.model import Model, versions

_NEVER = 1.5  # of a degradation that is 1 at most: which part is damaged does not say how badly


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said about one recording by a network that had seen nothing of its bearing."""

    machine: str
    bearing: str
    fault: str
    said: str | None  # None: abstained


def judge(examples: Sequence[Example], config: FaultConfig, seed: int) -> list[Judged]:
    """Leave each bearing out in turn and take the network's word at the end of each of its recordings."""
    found = []
    for bearing in sorted({e.bearing for e in examples}):
        rest = [e for e in examples if e.bearing != bearing]
        if {e.fault for e in rest} >= set(PARTS[:2]):
            network = fit(rest, config, seed)
            for e in examples:
                if e.bearing == bearing and e.timing == 1.0:
                    last = answer(network, e.condition[-1:])[0]
                    said = FAULTS[int(last.argmax())] if last.max() > 0.5 else None
                    found.append(Judged(e.machine, e.bearing, e.fault, said))
    return found


def train(examples: Sequence[Example], config: FaultConfig, *, seed: int) -> Model:
    """Train on labelled recordings; DataInsufficient where they are of too few bearings or of one class."""
    _refuse(examples)
    network = fit(examples, config, seed)
    measured = [e for e in examples if e.timing == 1.0]
    probe = np.concatenate([e.condition[-1:] for e in measured])[:64]
    outputs = (DEGRADATION, FAULT)
    data, off = export(network, probe, output_shapes(outputs, len(FAULTS)))
    return Model(
        onnx=data,
        features=config.features,
        view=config.view,
        inputs=Lines(config.features, config.view).inputs,
        outputs=outputs,
        faults=FAULTS,
        thresholds=Thresholds(warn=config.warn, act=_NEVER),
        coverage="no remaining life, no interval",
        evaluation=_figures(judge(examples, config, seed)),
        parity_max_abs=off,
        lineage=_lineage(examples, config, seed),
        probe=probe,
    )


def _refuse(examples: Sequence[Example]) -> None:
    for part in PARTS[:2]:
        bearings = {e.bearing for e in examples if e.fault == part}
        if not bearings:
            raise DataInsufficient(f"no recording of a damaged {part.replace('_', ' ')}: one class teaches nothing")


def _figures(judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "protocol": "each bearing left out in turn; the word of the network alone at the end of each recording",
        "right": sum(j.said == j.fault for j in judged),
        "wrong": sum(j.said not in {j.fault, None} for j in judged),
        "abstained": sum(j.said is None for j in judged),
        "healthy_accused": sum(j.fault == NORMAL and j.said in PARTS for j in judged),
        "by_machine": [{"machine": j.machine, "fault": j.fault, "said": j.said or "abstain"} for j in judged],
    }


def _lineage(examples: Sequence[Example], config: FaultConfig, seed: int) -> Lineage:
    digest = hashlib.sha256()
    for e in examples:
        digest.update(msgspec.json.encode((e.machine, e.bearing, e.fault, e.timing, e.condition.shape)))
        digest.update(np.ascontiguousarray(e.condition, "<f4").tobytes())
    return Lineage(
        dataset=digest.hexdigest(),
        machines=tuple(sorted({e.machine for e in examples})),
        configuration=msgspec.to_builtins(config),
        seed=seed,
        versions=versions(),
    )
