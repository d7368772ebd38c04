"""What a model is worth on a machine that it never saw, beside what anyone can say without it.

Every figure of a group of machines comes from fits, adjustments, limits and floors that were made without that group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import TrainingConfig
from training.dataset import Dataset, Life
from training.metrics import Array, covered, first_alarm, rows_at, winkler
from training.prognosis.calibrate import Limits, choose_adjustment, choose_limits
from training.prognosis.floors import AgeFloor, ConstantFloor, Floor, rms_score
from training.prognosis.folds import Answers, Groups, Left, others

RMS_MARGIN = 0.05  # log ratio, 5 %
RMS_HIGHEST = 10.0  # log ratio; no limit in practice


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers about one left-out life at the cuts: truth (k,), quantiles (k, 3) by who said them."""

    life: Life
    truth: Array
    said: Mapping[str, Array]  # ours, constant, k_x_age
    alarms: Mapping[str, float | None]  # share of life at the first alarm: ours, rms_rule


def judge(
    dataset: Dataset, groups: Groups, answers: Mapping[tuple[int, Left], list[Answers]], config: TrainingConfig
) -> list[Judged]:
    """Judge every life by what was learned without its group."""
    judged = []
    for number, group in enumerate(groups):
        rest = others(answers, number, groups)
        seen = [life for life in dataset.lives if life.machine not in group]
        adjustment = choose_adjustment(rest, config)
        limits = choose_model_limits(rest, config)
        rms = choose_limits(
            [(life, rms_score(life, dataset.inputs)) for life in seen], config, margin=RMS_MARGIN, highest=RMS_HIGHEST
        )
        floors: dict[str, Floor] = {
            "constant": ConstantFloor.fit(seen, config.cuts),
            "k_x_age": AgeFloor.fit(seen, config.cuts),
        }
        for item in answers[number, frozenset({number})]:
            life, rows = item.life, rows_at(item.life, config.cuts)
            said = {"ours": adjustment.apply(item, rows)}
            said |= {name: floor.predict(life.age_s[rows]) for name, floor in floors.items()}
            alarms = {
                "ours": _first(life, item.degradation, limits, config),
                "rms_rule": _first(life, rms_score(life, dataset.inputs), rms, config),
            }
            judged.append(Judged(life, life.rul_s[rows], said, alarms))
    return judged


def choose_model_limits(answers: Sequence[Answers], config: TrainingConfig) -> Limits:
    """The alarm limits of degradation, from machines that the fits did not see."""
    scores = [(a.life, a.degradation) for a in answers]
    return choose_limits(scores, config, margin=config.threshold_margin, highest=config.highest_limit)


def summarise(judged: Sequence[Judged], config: TrainingConfig) -> dict[str, Any]:
    """The figures as the manifest, the card and the JSON report carry them: by measure, ours beside its floors."""
    names = ("ours", "constant", "k_x_age")
    return {
        "protocol": "leave one machine out; limits, trust and widening are chosen without it too; "
        f"cuts at {', '.join(f'{c:.0%}' for c in config.cuts)} of life; figures are means over machines",
        "split": "machine",
        "machines": len({j.life.machine for j in judged}),
        "classes": {
            "healthy": int(sum((j.life.degradation < 0.5).sum() for j in judged)),
            "worn": int(sum((j.life.degradation >= 0.5).sum() for j in judged)),
        },
        "rul_mae_s": {n: _mean(judged, n, _mae) for n in names},
        "rul_winkler_s": {n: _mean(judged, n, _score) for n in names},
        "rul_coverage": {n: _mean(judged, n, _coverage) for n in names},
        **_alarms(judged, config),
        "by_machine": [_line(j) for j in judged],
    }


def _first(life: Life, score: NDArray[np.floating], limits: Limits, config: TrainingConfig) -> float | None:
    return first_alarm(life, score, limits.warn, config.on_delay_windows)


def _mae(truth: Array, q: Array) -> float:
    return float(np.abs(q[:, 1] - truth).mean())


def _score(truth: Array, q: Array) -> float:
    return float(winkler(truth, q[:, 0], q[:, 2]).mean())


def _coverage(truth: Array, q: Array) -> float:
    return float(covered(truth, q[:, 0], q[:, 2]).mean())


def _mean(judged: Sequence[Judged], name: str, measure: Any) -> float:
    by_machine: dict[str, list[float]] = {}
    for j in judged:
        by_machine.setdefault(j.life.machine, []).append(measure(j.truth, j.said[name]))
    return round(float(np.mean([np.mean(values) for values in by_machine.values()])), 3)


def _alarms(judged: Sequence[Judged], config: TrainingConfig) -> dict[str, Any]:
    """First alarms in time to plan work, too early, too late, never; and the healthy hours that early ones count in."""
    counts = {n: _count([j.alarms[n] for j in judged], config) for n in ("ours", "rms_rule")}
    healthy_s = sum(float(j.life.age_s[-1] + j.life.rul_s[-1]) * config.early_share for j in judged)
    found: dict[str, Any] = {
        f"alarms_{kind}": {n: count[kind] for n, count in counts.items()} for kind in counts["ours"]
    }
    return found | {"healthy_hours": round(healthy_s / 3600.0, 1)}


def _count(at: Sequence[float | None], config: TrainingConfig) -> dict[str, int]:
    known = [a for a in at if a is not None]
    return {
        "in_time": sum(config.early_share <= a < config.late_share for a in known),
        "early": sum(a < config.early_share for a in known),
        "late": sum(a >= config.late_share for a in known),
        "missed": len(at) - len(known),
    }


def _line(judged: Judged) -> dict[str, Any]:
    truth, ours = judged.truth, judged.said["ours"]
    return {
        "machine": judged.life.machine,
        "life_s": round(float(judged.life.age_s[-1] + judged.life.rul_s[-1]), 1),
        "mae_s": {n: round(_mae(truth, q), 1) for n, q in judged.said.items()},
        "winkler_s": {n: round(_score(truth, q), 1) for n, q in judged.said.items()},
        "coverage": round(_coverage(truth, ours), 3),
        "covered": [int(covered(truth, ours[:, 0], ours[:, 2]).sum()), len(truth)],
        "first_alarm_share": {n: None if a is None else round(a, 3) for n, a in judged.alarms.items()},
    }
