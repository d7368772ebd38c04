"""What the loop is worth on the machines that no model has seen: alarms and remaining life, beside their floors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forewarn.demo.ledger import spans_ns
from training.config import TrainingConfig
from training.dataset import build
from training.labels import FAILED, Labels, Maintenance
from training.lives import Life
from training.metrics import Array, covered, null_answer, rows_at, winkler
from training.prognosis.floors import AgeFloor, ConstantFloor

if TYPE_CHECKING:
    from cloud.wiring import Cloud
    from forewarn.demo.fleet import Fleet
    from forewarn.demo.plan import Plan

QUANTILES = ("rul_p05@1", "rul_p50@1", "rul_p95@1")


def judge_held_back(cloud: Cloud, fleet: Fleet, plan: Plan, bundle: str) -> dict[str, Any]:
    """Return `alarms` of all machines (those of training machines say so) and `evaluation` of the held-back ones."""
    spans = spans_ns(cloud)
    held_back = {p.machine for p in plan.held_back}
    ends = {p.machine: spans[p.machine][1] for p in plan.players if not p.endless}
    return {
        "alarms": [_alarm(a, spans[a["machine"]], held_back) for a in fleet.alerts()],
        "evaluation": _evaluate(cloud, plan, ends, bundle),
    }


def _alarm(alert: Mapping[str, Any], span: tuple[int, int], held_back: set[str]) -> dict[str, Any]:
    first, last = span
    return {
        "machine": alert["machine"],
        "held_back": alert["machine"] in held_back,
        "severity": alert["severity"],  # the worst it came to
        "source": alert["source"],
        "fault": alert["fault"],
        "share_of_life": round((alert["raised_ns"] - first) / max(last - first, 1), 3),  # when it was raised
    }


def _evaluate(cloud: Cloud, plan: Plan, ends: Mapping[str, int], bundle: str) -> dict[str, Any]:
    """Remaining life on each held-back machine at the usual cuts, against floors learned from the training machines."""
    config = TrainingConfig()
    history = [Maintenance(time_ns=t, machine=m, event=FAILED) for m, t in ends.items()]
    dataset = build(cloud.lake.rows("features", columns=config.features), Labels(history), config)
    lives = {life.machine.rpartition("/")[2]: life for life in dataset.lives}
    seen = [lives[p.machine] for p in plan.training if p.machine in lives]
    floors: dict[str, ConstantFloor | AgeFloor] = {
        "floor_constant": ConstantFloor.fit(seen, config.cuts),
        "floor_age": AgeFloor.fit(seen, config.cuts),
    }
    result = {}
    for player in plan.held_back:
        life = lives.get(player.machine)
        if life is None:
            continue
        rows = rows_at(life, config.cuts)
        said, silent = _said(cloud, player.machine, bundle, life, rows, end_ns=ends[player.machine])
        quantiles = {"ours": said, **{n: f.predict(life.age_s[rows]) for n, f in floors.items()}}
        nulls = {"nulls_scored_as": "0.3 x age, between 0.1 and 1.0 x age", "nulls": round(float(silent.mean()), 3)}
        result[player.machine] = {n: _figures(life.rul_s[rows], q) for n, q in quantiles.items()} | nulls
    return result


def _said(
    cloud: Cloud, machine: str, bundle: str, life: Life, rows: NDArray[np.intp], *, end_ns: int
) -> tuple[Array, NDArray[np.bool_]]:
    """(k, 3) what the device said last before each cut, and where it was silent: there the floor's answer stands in."""
    table = cloud.lake.rows("assessment", machines=[machine], columns=QUANTILES)
    answers = null_answer(life.age_s[rows])
    silent = np.ones(len(rows), bool)
    if not set(QUANTILES) <= set(table.column_names):
        return answers, silent
    table = table.filter([s == bundle for s in table["source"].to_pylist()]).sort_by("event_time_ns")
    times = table["event_time_ns"].to_numpy()
    values = np.stack([table[q].to_numpy(zero_copy_only=False) for q in QUANTILES], axis=1)
    window_ns = round(float(np.median(np.diff(life.age_s))) * 1e9)
    for k, row in enumerate(rows):
        at = end_ns - round(life.rul_s[row] * 1e9)
        i = int(np.searchsorted(times, at + window_ns // 2, side="right")) - 1
        if i >= 0 and at - times[i] <= 2 * window_ns and np.isfinite(values[i]).all():
            answers[k], silent[k] = values[i], False
    return answers, silent


def _figures(truth: Array, q: Array) -> dict[str, float]:
    return {
        "mae_s": round(float(np.abs(q[:, 1] - truth).mean()), 1),
        "winkler_s": round(float(winkler(truth, q[:, 0], q[:, 2]).mean()), 1),
        "coverage": round(float(covered(truth, q[:, 0], q[:, 2]).mean()), 3),
    }


def describe(judged: Mapping[str, Any], held_back: Sequence[str]) -> Iterator[str]:
    """Say it in lines that a person reads."""
    for machine in held_back:
        alarms = [a for a in judged["alarms"] if a["machine"] == machine]
        said = ", ".join(
            f"raised at {a['share_of_life']:.0%} of life, at worst {a['severity']} ({a['source']})" for a in alarms
        )
        yield f"{machine}: alarms: {said or 'none'}"
        figures = judged["evaluation"].get(machine)
        if figures:
            parts = (f"{name} {figures[name]['mae_s']:.0f} s" for name in ("ours", "floor_constant", "floor_age"))
            yield f"{machine}: error of remaining life at 50 to 90 % of life: {', '.join(parts)}"
