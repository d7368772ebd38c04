"""Anomaly models: for machines with no failure on record, and for classes where people have marked faults.

One method for all: departures (`models.departures`), a score of them, and a limit that keeps a false-alarm budget on
the healthy windows of the training machines, and that faults which somebody has marked there pass with something to
spare. Where faulty windows are marked on enough machines, a ridge logistic regression on curves of the departures is
learned from them, and the limit comes from machines that it was not learned from. It is convex: no seed enters it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from models.departures import LEVEL, Departures
from models.errors import DataInsufficient
from models.history import FloatArray
from models.manifest import DEGRADATION, Thresholds, output_shapes
from models.networks.departure import LIMIT, STEEP, DepartureNetwork
from training.anomaly.alarms import Tried, raised
from training.anomaly.config import AnomalyConfig
from training.anomaly.evaluate import judge_limits, judge_marks
from training.anomaly.marks import Rows, fit, limit_of, unseen_scores
from training.anomaly.seen import Run, Seen, look
from training.export import export
from training.model import Model, Say, lineage

Made = tuple[DepartureNetwork, dict[str, Any]]  # and what is known of its worth


def train(runs: Sequence[Run], config: AnomalyConfig, *, seed: int, say: Say) -> Model:
    """Return the model of a class; raises `DataInsufficient` when no run is longer than its healthy start."""
    view, seen = config.view, look(runs, config)
    if not seen:
        raise DataInsufficient(
            f"no machine has more than the {config.view.start_windows} windows that make its healthy start"
        )
    marked = [s for s in seen.values() if s.faulty is not None]
    learned = config.learn_marks and len(marked) >= config.fewest_marked and any(s.marked for s in marked)
    network, facts = _marked(seen, config, seed) if learned else _day_zero(seen, config)
    say(f"{len(seen)} machines, {facts['learned']}")
    probe = _probe(seen)
    outputs = (DEGRADATION,)
    data, off = export(network, probe, output_shapes(outputs))
    inputs = Departures((LEVEL,), view).inputs
    return Model(
        onnx=data,
        features=(LEVEL,),
        view=view,
        inputs=inputs,
        outputs=outputs,
        thresholds=_thresholds(config, learned=learned),
        coverage="no intervals: an anomaly score is no remaining life",
        evaluation=facts,
        parity_max_abs=off,
        lineage=lineage(_digest(runs), list(seen), config, seed),
        probe=probe,
    )


def _day_zero(seen: Mapping[str, Seen], config: AnomalyConfig) -> Made:
    """A limit on the largest departure from the slow level."""
    heard = [s.heard(from_start=False) for s in seen.values()]
    limit = Tried.of(heard, config).choose(np.ones(len(heard), np.bool_), config)
    found = sum(h.found(raised(h.most, limit, config)) for h in heard)
    network = _network(seen)
    network.bias.fill_(-STEEP * math.log1p(limit))
    faults = sum(len(h.faults) for h in heard)
    learned = f"a limit of {limit:.2f} times its own wandering; {found} of {faults} marked faults pass it"
    return network, {"learned": learned} | judge_limits(seen, config)


def _marked(seen: Mapping[str, Seen], config: AnomalyConfig, seed: int) -> Made:
    """Learn from all marks; the limit is where the share of false windows is kept on machines left out in turn."""
    rows = {name: Rows.of(s) for name, s in seen.items() if s.faulty is not None}
    parts = list(rows.values())
    scores = unseen_scores(parts, config)
    weight, bias = fit(parts, config)
    network = _network(seen)
    network.weight.copy_(torch.from_numpy(weight))
    network.bias.fill_(bias - limit_of(scores, parts, config))
    network.day_zero.zero_()
    learned = f"the marked faults of {len(rows)}"
    return network, {"learned": learned} | judge_marks(seen, rows, scores, config, seed)


def _network(seen: Mapping[str, Seen]) -> DepartureNetwork:
    return DepartureNetwork(next(iter(seen.values())).condition.shape[1])


def _thresholds(config: AnomalyConfig, *, learned: bool) -> Thresholds:
    """A learned score is judged window by window, as its marks were; a departure stands until it is clearly over."""
    if learned:
        return Thresholds(warn=LIMIT, act=0.9, deadband=0.0, on_delay_windows=1, off_delay_windows=1)
    return Thresholds(
        warn=LIMIT,
        act=0.9,
        deadband=config.clear_share,
        on_delay_windows=config.raise_windows,
        off_delay_windows=config.clear_windows,
    )


def _probe(seen: Mapping[str, Seen]) -> FloatArray:
    """Eight windows of each of the first machines, at most 64 in all."""
    few = list(seen.values())[:8]
    return np.concatenate([s.condition[np.linspace(0, len(s.condition) - 1, 8).round().astype(int)] for s in few])


def _digest(runs: Sequence[Run]) -> str:
    digest = hashlib.sha256()
    for run in runs:
        digest.update(run.machine.encode())
        for time_s, levels in run.windows:
            digest.update(np.float64(time_s).tobytes() + b"".join(n.encode() + v.tobytes() for n, v in levels.items()))
        digest.update(run.healthy.tobytes() + (b"" if run.faulty is None else run.faulty.tobytes()))
    return digest.hexdigest()
