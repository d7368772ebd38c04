"""A backtest from the lake to its figures: two watchers of the same lives, and ways of maintaining beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.inference import LoadedBundle
from forewarn.backtest.costs import Costs
from forewarn.backtest.outcome import (
    Outcome,
    Policy,
    best_interval,
    fair_interval,
    false_alarms,
    fixed_interval,
    judge,
    on_alarm,
    rate,
    ratio_interval,
    run_to_failure,
)
from forewarn.backtest.replay import replay
from forewarn.backtest.span import Seen, read_span
from forewarn.findings import read_labels
from models.errors import DataInsufficient

if TYPE_CHECKING:
    from cloud.wiring import Cloud

BASELINE = "day zero alone"  # the machine against its own healthy start, without a model
MODEL = "with the model"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Watched:
    """The outcomes under one watcher."""

    name: str  # BASELINE or MODEL
    outcomes: tuple[Outcome, ...]
    windows: int
    judged: int  # windows of which the model said something


@dataclass(frozen=True, slots=True)
class Backtest:
    """All that was replayed; the rest follows from it."""

    machine_class: str
    bundle: str  # empty: no model
    learned_from: frozenset[str]  # machines of the span that the model has learned from: figures on them flatter
    costs: Costs
    watched: tuple[Watched, ...]


def backtest(
    cloud: Cloud,
    machine_class: str,
    bundle: LoadedBundle | None,
    costs: Costs,
    *,
    since_ns: int | None,
    until_ns: int | None,
    say: Say,
) -> Backtest:
    """Replay a span of the lake; raises `DataInsufficient` where it holds nothing of the class."""
    labels = read_labels(cloud)
    watchers: dict[str, LoadedBundle | None] = {BASELINE: None} | ({MODEL: bundle} if bundle else {})
    found: dict[str, list[Outcome]] = {name: [] for name in watchers}
    counts = {name: [0, 0] for name in watchers}
    machines = set()
    for seen in read_span(cloud, machine_class, labels, since_ns=since_ns, until_ns=until_ns):
        machines.add(seen.key)
        for name, model in watchers.items():
            for outcome, windows, judged in _watch(seen, model, costs):
                found[name].append(outcome)
                counts[name][0] += windows
                counts[name][1] += judged
        say(f"{seen.key}: {len(seen.windows)} windows; lives: {len(seen.lives)}")
    if not machines:
        raise DataInsufficient(f"the span holds no rows of machines of the class {machine_class}")
    learned = frozenset(machines & set(bundle.manifest.lineage.machines)) if bundle else frozenset()
    watched = tuple(Watched(n, tuple(found[n]), *counts[n]) for n in watchers)
    return Backtest(machine_class, bundle.name if bundle else "", learned, costs, watched)


def _watch(seen: Seen, bundle: LoadedBundle | None, costs: Costs) -> list[tuple[Outcome, int, int]]:
    heard = [(life, replay(seen.machine, seen.windows, life, bundle)) for life in seen.lives]
    return [(judge(seen.key, life, h.told, costs), h.windows, h.judged) for life, h in heard]


def figures(result: Backtest) -> dict[str, Any]:
    """The whole backtest for JSON; what cannot be said is null."""
    return {
        "machine_class": result.machine_class,
        "bundle": result.bundle or None,
        "learned_from": sorted(result.learned_from),
        "currency": result.costs.currency,
        "watchers": {w.name: _watcher(w, result) for w in result.watched},
        "lives": [
            {
                "watcher": w.name,
                "machine": o.machine,
                "hours": round(o.hours, 3),
                "failed": o.failed,
                "false_alarms_at_hours": [round(h, 3) for h in o.false],
                "undecided_at_hours": [round(h, 3) for h in o.undecided],
                "lead_hours": None if o.lead_hours is None else round(o.lead_hours, 3),
                "in_time": o.in_time(result.costs),
                "in_sample": w.name == MODEL and o.machine in result.learned_from,
            }
            for w in result.watched
            for o in w.outcomes
        ],
    }


def _watcher(watched: Watched, result: Backtest) -> dict[str, Any]:
    unseen = [o for o in watched.outcomes if o.machine not in result.learned_from]
    found = {"windows": watched.windows, "judged_by_model": watched.judged, "all": _group(watched.outcomes, result)}
    if result.learned_from:  # of both watchers, so that like stands beside like
        found["machines_not_learned_from"] = _group(unseen, result)
    return found


def _group(outcomes: Sequence[Outcome], result: Backtest) -> dict[str, Any] | None:
    if not outcomes:
        return None
    alarms = false_alarms(outcomes)
    failed = [o for o in outcomes if o.failed]
    leads = sorted(o.lead_hours for o in failed if o.lead_hours is not None)
    return {
        "machines": len({o.machine for o in outcomes}),
        "hours": round(sum(o.hours for o in outcomes), 2),
        "failures": len(failed),
        "warned": len(leads),
        "warned_in_time": sum(o.in_time(result.costs) for o in failed),
        "median_lead_hours": leads[len(leads) // 2] if leads else None,
        "false_alarms": alarms.alarms,
        "undecided": sum(len(o.undecided) for o in outcomes),
        "healthy_machine_years": alarms.machine_years,
        "false_alarms_a_machine_year": _number(alarms.a_year),
        "false_alarms_interval": [_number(x) for x in alarms.interval],
        "cost_per_1000_hours": _costs(outcomes, result.costs),
    }


def _costs(outcomes: Sequence[Outcome], costs: Costs) -> dict[str, Any]:
    best = best_interval(outcomes, costs)
    ways: dict[str, Policy] = {
        "alarms": on_alarm(costs),
        "run_to_failure": run_to_failure(costs),
        "fixed_interval_of_the_others": fair_interval(outcomes, costs),
        "fixed_interval_in_hindsight": fixed_interval(costs, best),
    }
    found: dict[str, Any] = {name: round(1000.0 * rate(outcomes, way), 2) for name, way in ways.items()}
    low, high = ratio_interval(outcomes, ways["alarms"], ways["run_to_failure"])
    return found | {
        "interval_in_hindsight_hours": _number(best),
        "alarms_over_run_to_failure": [_number(low), _number(high)],
    }


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def groups(result: Backtest) -> Mapping[str, Mapping[str, Any]]:
    """The groups of figures by a name for people: watcher, and which machines."""
    found = {}
    for name, watcher in figures(result)["watchers"].items():
        for key, label in (("all", ""), ("machines_not_learned_from", ", machines not learned from")):
            if watcher.get(key):
                found[name + label] = watcher[key]
    return found
