"""What a model is worth on a machine that it never saw, beside what anyone can say without it.

Every figure of a group of machines comes from fits, adjustments, limits and floors that were made without that group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import TrainingConfig
from training.dataset import Dataset
from training.lives import Life
from training.metrics import Array, covered, first_alarm, rows_at, winkler
from training.prognosis.calibrate import Limits, choose_adjustment, choose_limits
from training.prognosis.fit import Weights
from training.prognosis.floors import AgeFloor, ConstantFloor, Floor, rms_score
from training.prognosis.folds import Answers, Groups, Left, answers_of, of_healthy, others

RMS_MARGIN = 0.05  # log ratio, 5 %
RMS_HIGHEST = 10.0  # log ratio; no limit in practice


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers about one left-out life at the cuts: truth (k,), quantiles (k, 3) by who said them."""

    life: Life
    truth: Array
    said: Mapping[str, Array]  # ours, constant, k_x_age
    nulls: NDArray[np.bool_]  # (k,) where ours is no estimate, and the answer that it is scored as
    degradation: Mapping[str, float]  # mean squared error over the life: ours, constant
    alarms: Mapping[str, float | None]  # share of life at the first alarm: ours, rms_rule


def judge(dataset: Dataset, groups: Groups, fits: Mapping[Left, Weights], config: TrainingConfig) -> list[Judged]:
    """Judge every life by what was learned without its group."""
    answers, judged = answers_of(dataset, groups, fits), []
    for number, group in enumerate(groups):
        seen = [life for life in dataset.lives if life.machine not in group]
        own, healthy = answers[number, frozenset({number})], of_healthy(dataset, groups, fits, apart=number)
        judged += judge_lives(own, seen, others(answers, number, groups), healthy, dataset.inputs, config)
    return judged


def judge_healthy(
    unseen: Sequence[Answers], healthy: Sequence[Answers], inputs: Sequence[str], config: TrainingConfig
) -> dict[str, Any]:
    """Alarms where the crews found nothing: each machine's windows by limits that were chosen without that machine.

    `unseen` are the answers about lives that failed, `healthy` those about good windows, by fits that saw neither.
    """
    found = {"ours": 0, "rms_rule": 0}
    for own in healthy:
        rest = [a for a in (*unseen, *healthy) if a.life.machine != own.life.machine]
        limits, rms = choose_model_limits(rest, config), _rms_limits([a.life for a in rest], inputs, config)
        found["ours"] += _first(own.life, own.degradation, limits, config) is not None
        found["rms_rule"] += _first(own.life, rms_score(own.life, inputs), rms, config) is not None
    return {"alarms_on_healthy": found, "healthy_stretches": len(healthy)}


def judge_lives(
    answers: Sequence[Answers],
    seen: Sequence[Life],
    left_out: Sequence[Answers],
    healthy: Sequence[Answers],
    inputs: Sequence[str],
    config: TrainingConfig,
) -> list[Judged]:
    """Judge some lives' answers.

    The floors are made of the lives that were `seen`; adjustment and limits of the answers of fits that left each of
    those out. Limits heed good windows of other machines (`healthy`), too. `inputs` names the conditions' columns.
    """
    adjustment, limits = choose_adjustment(left_out, config), choose_model_limits([*left_out, *healthy], config)
    rms = _rms_limits([*seen, *(a.life for a in healthy)], inputs, config)
    floors: dict[str, Floor] = {
        "constant": ConstantFloor.fit(seen, config.cuts),
        "k_x_age": AgeFloor.fit(seen, config.cuts),
    }
    usual = float(np.mean(np.concatenate([life.degradation for life in seen])))
    judged = []
    for item in answers:
        life, rows = item.life, rows_at(item.life, config.cuts)
        said = {"ours": adjustment.apply(item, rows)}
        said |= {name: floor.predict(life.age_s[rows]) for name, floor in floors.items()}
        degradation = {
            "ours": degradation_error(life, item.degradation),
            "constant": degradation_error(life, np.full(len(life.age_s), usual)),
        }
        alarms = {
            "ours": _first(life, item.degradation, limits, config),
            "rms_rule": _first(life, rms_score(life, inputs), rms, config),
        }
        judged.append(Judged(life, life.rul_s[rows], said, item.trend[rows] < 1.0, degradation, alarms))
    return judged


def choose_model_limits(answers: Sequence[Answers], config: TrainingConfig) -> Limits:
    """The alarm limits of degradation, from machines that the fits did not see."""
    scores = [(a.life, a.degradation) for a in answers]
    return choose_limits(
        scores, config, margin=config.threshold_margin, lowest=config.lowest_limit, highest=config.highest_limit
    )


def _rms_limits(lives: Sequence[Life], inputs: Sequence[str], config: TrainingConfig) -> Limits:
    scores = [(life, rms_score(life, inputs)) for life in lives]
    return choose_limits(scores, config, margin=RMS_MARGIN, highest=RMS_HIGHEST)


def degradation_error(life: Life, said: NDArray[np.floating]) -> float:
    """Mean squared error of a degradation (n,) over a life."""
    return float(np.mean((said.astype(np.float64) - life.degradation) ** 2))


def constant_error(dataset: Dataset, lives: Sequence[Life]) -> float:
    """The error of saying, of each life, the mean degradation of the other machines': what no model is needed for."""
    errors = []
    for life in lives:
        usual = np.mean(np.concatenate([x.degradation for x in dataset.lives if x.machine != life.machine]))
        errors.append((life.machine, degradation_error(life, np.full(len(life.age_s), usual))))
    return mean_over_machines(errors)


def summarise(judged: Sequence[Judged], config: TrainingConfig) -> dict[str, Any]:
    """The figures as the manifest, the card and the JSON report carry them: by measure, ours beside its floors."""
    names = ("ours", "constant", "k_x_age")
    return {
        "protocol": "leave one machine out; limits and widening are chosen without it too; "
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
        "rul_nulls": round(float(np.mean([j.nulls.mean() for j in judged])), 3),
        "degradation_mse": {n: _mean_error(judged, n) for n in ("ours", "constant")},
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
    return round(mean_over_machines((j.life.machine, measure(j.truth, j.said[name])) for j in judged), 3)


def _mean_error(judged: Sequence[Judged], name: str) -> float:
    return round(mean_over_machines((j.life.machine, j.degradation[name]) for j in judged), 6)


def mean_over_machines(figures: Iterable[tuple[str, float]]) -> float:
    """The mean over machines of the mean over their lives."""
    by_machine: dict[str, list[float]] = {}
    for machine, figure in figures:
        by_machine.setdefault(machine, []).append(figure)
    return float(np.mean([np.mean(values) for values in by_machine.values()]))


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
        "nulls": int(judged.nulls.sum()),
        "covered": [int(covered(truth, ours[:, 0], ours[:, 2]).sum()), len(truth)],
        "first_alarm_share": {n: None if a is None else round(a, 3) for n, a in judged.alarms.items()},
    }
