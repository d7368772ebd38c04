"""Training of a model of faults: labelled recordings in, a graph out, judged on bearings that took no part."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from models.errors import DataInsufficient
from models.lines import Lines
from models.manifest import DEGRADATION, FAULT, Thresholds, output_shapes
from models.networks.faults import FAULTS, LINES, FaultNetwork
from training.export import export
from training.faults.fit import NORMAL, PARTS, Example, FaultConfig, answer, fit
from training.model import Model, lineage

_NEVER = 1.5  # of a degradation that is 1 at most: which part is damaged does not say how badly


@dataclass(frozen=True, slots=True)
class Judged:
    """What was said about one recording by a network that had seen nothing of its bearing."""

    machine: str
    bearing: str
    fault: str
    said: str | None  # None: abstained
    floor: str  # what the largest line says; it always answers


def judge(examples: Sequence[Example], config: FaultConfig, seed: int) -> list[Judged]:
    """Leave each bearing out in turn and take the network's word at the end of each of its recordings."""
    found = []
    for bearing in sorted({e.bearing for e in examples}):
        rest = [e for e in examples if e.bearing != bearing]
        if {e.fault for e in rest} >= set(PARTS[:2]):
            network = fit(rest, config, seed)
            left = [e for e in examples if e.bearing == bearing and e.timing == 1.0]
            found += [Judged(e.machine, e.bearing, e.fault, _said(network, e), _clearest(e)) for e in left]
    return found


def leaking(examples: Sequence[Example], config: FaultConfig, seed: int) -> float:
    """The share right where every second window of a recording was learned from: what an unfair split would show."""
    measured = [e for e in examples if e.timing == 1.0 and len(e.condition) > 1]
    learned = [replace(e, condition=e.condition[::2]) for e in measured]
    network = fit([*learned, *(e for e in examples if e.timing < 1.0)], config, seed)
    return float(np.mean([_said(network, replace(e, condition=e.condition[1::2])) == e.fault for e in measured]))


def _said(network: FaultNetwork, example: Example) -> str | None:
    last = answer(network, example.condition[-1:])[0]
    return FAULTS[int(last.argmax())] if last.max() > 0.5 else None


def _clearest(example: Example) -> str:
    """The floor: the part of the most prominent line, whatever it is."""
    outer_inner_ball = ("outer_race", "inner_race", "ball")
    return outer_inner_ball[int(example.condition[-1, : LINES // 2].argmax())]


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
        evaluation=_figures(judge(examples, config, seed), examples)
        | {"leaking_split": {"split": "window", "right": leaking(examples, config, seed)}},
        parity_max_abs=off,
        lineage=lineage(_digest(examples), sorted({e.machine for e in examples}), config, seed),
        probe=probe,
    )


def _refuse(examples: Sequence[Example]) -> None:
    for part in PARTS[:2]:
        bearings = {e.bearing for e in examples if e.fault == part}
        if not bearings:
            raise DataInsufficient(f"no recording of a damaged {part.replace('_', ' ')}: one class teaches nothing")


def _figures(judged: Sequence[Judged], examples: Sequence[Example]) -> dict[str, Any]:
    """What the registry asks for (`cloud.registry.admission`) and the card shows; no measure where none was judged."""
    windows: Counter[str] = Counter()
    for e in examples:
        windows[e.fault] += len(e.condition) if e.timing == 1.0 else 0
    figures: dict[str, Any] = {
        "protocol": "each bearing left out in turn; the word of the network alone at the end of each recording",
        "split": "machine",
        "machines": len({j.bearing for j in judged}),
        "classes": dict(sorted(windows.items())),
        "abstained": sum(j.said is None for j in judged),
        "by_machine": [{"machine": j.machine, "fault": j.fault, "said": j.said or "abstain"} for j in judged],
    }
    if judged:
        commonest = Counter(j.fault for j in judged).most_common(1)[0][0]
        said: dict[str, list[str | None]] = {
            "ours": [j.said for j in judged],
            "largest_line": [j.floor for j in judged],
            "commonest_class": [commonest] * len(judged),
        }
        faults = [j.fault for j in judged]
        figures["right"] = {
            n: float(np.mean([f == s for f, s in zip(faults, words, strict=True)])) for n, words in said.items()
        }
        figures["healthy_accused"] = {
            n: sum(f == NORMAL and s in PARTS for f, s in zip(faults, words, strict=True)) for n, words in said.items()
        }
    return figures


def _digest(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for e in examples:
        digest.update(msgspec.json.encode((e.machine, e.bearing, e.fault, e.timing, e.condition.shape)))
        digest.update(np.ascontiguousarray(e.condition, "<f4").tobytes())
    return digest.hexdigest()
