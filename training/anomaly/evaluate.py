"""What an anomaly model is worth on a machine that set no limit of it, beside what anyone can say without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.anomaly.alarms import Array, Heard, Mask, Tried, raised
from training.anomaly.config import AnomalyConfig
from training.anomaly.marks import Rows, fit, limit_of
from training.anomaly.seen import Seen
from training.bounds import poisson_interval

_LEARNED = 0.8  # of the windows, drawn at random


def judge_limits(seen: Mapping[str, Seen], config: AnomalyConfig) -> dict[str, Any]:
    """Each machine by the limit that the others set: false alarms, and marked faults found.

    The floor is a limit on departures from the healthy start alone, which others set in the same way. A single machine
    sets its own limit: its figures are no evaluation, and `split` says so.
    """
    slow, start = (_InTurn.of([s.heard(from_start=f) for s in seen.values()], config) for f in (False, True))
    healthy = sum(int(s.healthy.sum()) for s in seen.values())
    alone = len(seen) < 2
    low, high = poisson_interval(sum(slow.false))
    figures: dict[str, Any] = {
        "protocol": f"{len(seen)} machines, {healthy} healthy windows; "
        + ("its limit was set on the same machine, which flatters" if alone else "each by the limit of the others"),
        "split": "none" if alone else "machine",
        "machines": len(seen),
        "healthy_windows": healthy,
        "false_alarms": {"ours": sum(slow.false), "start_alone": sum(start.false)},
        "false_alarms_interval": [round(low, 2), round(high, 2)],
        "false_alarms_allowed": round(healthy * config.false_alarms, 2),
        "leaking_split": {"split": "window", "false_alarms": slow.leaking},
        "by_machine": [
            {
                "machine": name,
                "healthy_windows": int(s.healthy.sum()),
                "false_alarms": f,
                "faults_found": n,
                "faults": k,
            }
            for (name, s), f, n, k in zip(seen.items(), slow.false, slow.found, slow.faults, strict=True)
        ],
    }
    if faults := sum(slow.faults):
        figures["marked_faults"] = faults
        figures["marked_faults_found"] = {"ours": sum(slow.found), "start_alone": sum(start.found)}
    return figures


@dataclass(frozen=True, slots=True)
class _InTurn:
    """What alarms on each machine are, by the limit that the others set."""

    false: list[int]
    found: list[int]
    faults: list[int]
    leaking: int  # false alarms by one limit that all of them set

    @classmethod
    def of(cls, heard: Sequence[Heard], config: AnomalyConfig) -> _InTurn:
        tried, everyone = Tried.of(heard, config), np.ones(len(heard), np.bool_)
        at = [raised(h.most, tried.choose(_without(i, everyone), config), config) for i, h in enumerate(heard)]
        limit = tried.choose(everyone, config)
        return cls(
            false=[h.false(r) for h, r in zip(heard, at, strict=True)],
            found=[h.found(r) for h, r in zip(heard, at, strict=True)],
            faults=[len(h.faults) for h in heard],
            leaking=sum(h.false(raised(h.most, limit, config)) for h in heard),
        )


def _without(i: int, everyone: Mask) -> Mask:
    others = everyone.copy()
    others[i] = len(everyone) < 2
    return others


def judge_marks(
    seen: Mapping[str, Seen], rows: Mapping[str, Rows], scores: Sequence[Array], config: AnomalyConfig, seed: int
) -> dict[str, Any]:
    """Each machine's windows by a fit and a limit of the others, beside its largest departure, judged alike.

    `scores` are of fits that the machine took no part in. The leaking split learns from windows of all machines, drawn
    at random, and is judged on the others.
    """
    parts = list(rows.values())
    largest = [np.abs(seen[name].condition).max(axis=1).astype(np.float64) for name in rows]
    truth = np.concatenate([r.faulty for r in parts])
    said = {
        "ours": _passed(scores, parts, config),
        "largest_departure": _passed(largest, parts, config),
        "all_anomalous": np.ones_like(truth),
    }
    ends = np.cumsum([len(r.faulty) for r in parts])[:-1]
    kept = np.split(np.random.default_rng(seed).random(truth.size) < _LEARNED, ends)
    learned = [r.some(k) for r, k in zip(parts, kept, strict=True)]
    unseen = [r.some(~k) for r, k in zip(parts, kept, strict=True)]
    weight, bias = fit(learned, config)
    limit = limit_of([r.curves @ weight + bias for r in learned], learned, config)
    leaked = np.concatenate([r.curves @ weight + bias >= limit for r in unseen])
    return {
        "protocol": f"{len(parts)} machines with marks, each by a fit and a limit of the others",
        "split": "machine",
        "machines": len(parts),
        "f1": {who: _f1(truth, alarm) for who, alarm in said.items()},
        "false_share": {who: round(float(alarm[~truth].mean()), 4) for who, alarm in said.items()},
        "leaking_split": {"split": "window", "f1": _f1(np.concatenate([r.faulty for r in unseen]), leaked)},
        "by_machine": [
            {"machine": name, "f1": _f1(r.faulty, alarm)}
            for (name, r), alarm in zip(rows.items(), np.split(said["ours"], ends), strict=True)
        ],
    }


def _passed(scores: Sequence[Array], rows: Sequence[Rows], config: AnomalyConfig) -> Mask:
    """The windows of all machines at or above the limit that the others set."""
    alarms = []
    for i, own in enumerate(scores):
        others = [j for j in range(len(scores)) if j != i]
        limit = limit_of([scores[j] for j in others], [rows[j] for j in others], config)
        alarms.append(own >= limit)
    return np.concatenate(alarms)


def _f1(truth: Mask, alarm: Mask) -> float:
    return round(float(2 * (truth & alarm).sum() / max(truth.sum() + alarm.sum(), 1)), 4)
