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
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from models.departures import LEVEL, Departures, DeparturesConfig
from models.errors import DataInsufficient
from models.history import FloatArray
from models.manifest import DEGRADATION, Thresholds, output_shapes
from models.networks.departure import LIMIT, STEEP, DepartureNetwork, pieces
from training.export import export
from training.model import Model, Say, lineage

Array = NDArray[np.float64]
Made = tuple[DepartureNetwork, dict[str, Any]]  # and what is known of its worth
Windows = Sequence[tuple[float, Mapping[str, NDArray[np.float32]]]]  # event time in seconds, level by channel
_STEPS = 50  # Newton steps at most
_STILL = 0.05  # of a piece: one that is covered less, root mean square, is scaled as if it were so much
_LIMITS = np.geomspace(1.0, 12.0, 125)  # of the least limit, that may become the limit
_TO_SPARE = 1.2  # what a marked fault reaches, over the limit


class AnomalyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is learned, and what alarms may cost."""

    view: DeparturesConfig = DeparturesConfig()
    false_alarms: float = 1 / 5000  # a healthy window and machine, where nothing is marked
    least_limit: float = 5.0  # wanderings; white noise of 1,000 windows reaches it in less than 1 % of the machines
    false_share: float = 0.1  # of the healthy windows of a machine never seen, where faults are marked
    learn_marks: bool = False  # every faulty window is marked; else a stretch of marks only says where a fault lies
    fault_hours: float = 24.0  # before a failure: a fault lies there
    ridge: float = 0.05  # per marked window
    every: int = 4  # marked windows of which one is learned from: neighbours say nearly the same
    fewest_marked: int = 3  # machines with marked faults below which day zero stays
    raise_windows: int = 1  # in a row at the limit that raise day zero's alarm
    clear_windows: int = 10  # in a row clearly below the limit, after which it is over
    clear_share: float = 0.15  # of the score, that counts as clearly


@dataclass(frozen=True, slots=True)
class Run:
    """A machine that was listened to: n windows."""

    machine: str
    windows: Windows
    healthy: NDArray[np.bool_]  # (n,) windows in which an alarm would be false
    faulty: NDArray[np.bool_] | None = None  # (n,) marked as faulty; None: nobody has marked anything


@dataclass(frozen=True, slots=True)
class _Seen:
    condition: FloatArray  # (m, 2 C) after the healthy start
    healthy: NDArray[np.bool_]
    faulty: NDArray[np.bool_] | None


def train(runs: Sequence[Run], config: AnomalyConfig, *, seed: int, say: Say) -> Model:
    """Return the model of a class; raises `DataInsufficient` when no run is longer than its healthy start."""
    view, seen = config.view, _look(runs, config)
    if not seen:
        raise DataInsufficient(
            f"no machine has more than the {config.view.start_windows} windows that make its healthy start"
        )
    marked = {name: s for name, s in seen.items() if s.faulty is not None}
    learned = config.learn_marks and len(marked) >= config.fewest_marked and any(_some(s) for s in marked.values())
    network, facts = _marked(marked, config) if learned else _day_zero(seen, config)
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
        evaluation=facts | {"split": "machine", "machines": len(seen)},
        parity_max_abs=off,
        lineage=lineage(_digest(runs), [run.machine for run in runs], config, seed),
        probe=probe,
    )


def _some(seen: _Seen) -> bool:
    return seen.faulty is not None and bool(seen.faulty.any())


def _look(runs: Sequence[Run], config: AnomalyConfig) -> dict[str, _Seen]:
    """What the view sees of each run after the healthy start."""
    seen = {}
    for run in runs:
        departures = Departures((LEVEL,), config.view)
        found = [departures.update(t, levels) for t, levels in run.windows]
        at = np.array([i for i, c in enumerate(found) if c is not None], dtype=np.intp)
        if at.size:
            condition = np.stack([c for c in found if c is not None])
            faulty = None if run.faulty is None else run.faulty[at]
            seen[run.machine] = _Seen(condition, run.healthy[at], faulty)
    return seen


def _day_zero(seen: Mapping[str, _Seen], config: AnomalyConfig) -> Made:
    """The lowest limit that keeps the budget of false alarms, and what it costs beside a limit on the start alone.

    Lower, where a marked fault would else have nothing to spare: an alarm that just happens would not happen again.
    """
    network = DepartureNetwork(next(iter(seen.values())).condition.shape[1])
    healthy = sum(int(s.healthy.sum()) for s in seen.values())
    allowed = math.floor(healthy * config.false_alarms)
    from_start, from_slow = zip(*(np.split(np.abs(s.condition), 2, axis=1) for s in seen.values()), strict=True)
    faults = [_stretches(s.faulty) for s in seen.values()]
    limits: list[float] = (config.least_limit * _LIMITS).tolist()

    def false(departures: Sequence[FloatArray], limit: float) -> int:
        raised = (_raised(d.max(axis=1), limit, config) for d in departures)
        return sum(int(s.healthy[at].sum()) for s, at in zip(seen.values(), raised, strict=True))

    def found(limit: float) -> int:
        raised = (_raised(d.max(axis=1), limit, config) for d in from_slow)
        return sum(any(a <= i < b for i in at) for at, own in zip(raised, faults, strict=True) for a, b in own)

    limit = next((x for x in limits if false(from_slow, x) <= allowed), limits[-1])
    if most := max(map(found, limits)):
        highest = max(x for x in limits if found(x) == most)
        limit = max(min(limit, highest / _TO_SPARE), config.least_limit)
    network.bias.fill_(-STEEP * math.log1p(limit))
    return network, {
        "learned": f"a limit of {limit:.2f} times its own wandering; {found(limit)} of {sum(map(len, faults))} marked"
        " faults pass it",
        "protocol": f"on the {healthy} healthy windows that the limit was set on, which flatters",
        "false_alarms": {"ours": false(from_slow, limit), "allowed": allowed, "start_alone": false(from_start, limit)},
    }


def _stretches(faulty: NDArray[np.bool_] | None) -> list[tuple[int, int]]:
    """First window of each stretch of marks and the first one after it."""
    if faulty is None:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], faulty, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _raised(most: Array | FloatArray, limit: float, config: AnomalyConfig) -> list[int]:
    """The windows in which an alarm is raised."""
    score = 1.0 / (1.0 + ((1.0 + limit) / (1.0 + most)) ** STEEP)
    raised, stands, above, clear = [], False, 0, 0
    for i, value in enumerate(score.tolist()):
        above = above + 1 if value >= LIMIT else 0
        clear = clear + 1 if value < LIMIT - config.clear_share else 0
        if stands and clear >= config.clear_windows:
            stands = False
        elif not stands and above >= config.raise_windows:
            stands = True
            raised.append(i)
    return raised


def _marked(seen: Mapping[str, _Seen], config: AnomalyConfig) -> Made:
    """Learn from all; the limit is where the share of false windows is kept on machines left out in turn."""
    rows = {name: (_curves(s.condition), s.faulty) for name, s in seen.items() if s.faulty is not None}
    scores, truth = [], np.concatenate([faulty for _, faulty in rows.values()])
    for left in rows:
        weight, bias = _fit([r for name, r in rows.items() if name != left], config)
        scores.append(rows[left][0] @ weight + bias)
    unseen = np.concatenate(scores)
    limit = float(np.quantile(unseen[~truth], 1.0 - config.false_share)) if (~truth).any() else 0.0
    weight, bias = _fit(list(rows.values()), config)
    network = DepartureNetwork(next(iter(seen.values())).condition.shape[1])
    network.weight.copy_(torch.from_numpy(weight))
    network.bias.fill_(bias - limit)
    network.day_zero.zero_()
    return network, {
        "learned": f"the marked faults of {len(rows)}",
        "protocol": f"leaving one machine out in turn; the limit gives {config.false_share:.0%} false windows there",
        "f1": {"ours": _f1(truth, unseen >= limit), "all_anomalous": _f1(truth, np.ones_like(truth))},
    }


def _f1(truth: NDArray[np.bool_], alarm: NDArray[np.bool_]) -> float:
    return round(float(2 * (truth & alarm).sum() / max(truth.sum() + alarm.sum(), 1)), 4)


def _curves(condition: FloatArray) -> Array:
    return pieces(torch.from_numpy(condition)).numpy().astype(np.float64)


def _fit(rows: Sequence[tuple[Array, NDArray[np.bool_]]], config: AnomalyConfig) -> tuple[Array, float]:
    """Ridge logistic regression by Newton's method: weights and bias; each input is scaled by its root mean square."""
    x = np.concatenate([x[:: config.every] for x, _ in rows])
    y = np.concatenate([f[:: config.every] for _, f in rows]).astype(np.float64)
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


def _probe(seen: Mapping[str, _Seen]) -> FloatArray:
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
