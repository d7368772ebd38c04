"""False alarms over machine-years at changing speed and load, and sensor faults beside machine faults.

A budget is kept when the exact Poisson 95 % interval of the measured rate does not lie above it. Some machine-years
show little about one alarm a year and less about a tighter budget; of thirty and of three hundred a year they expect
hundreds. What was counted at LIMITS far below any budget's shows that alarms would have been counted. What a budget
buys, the lead in failing lives, is in `benchmarks.known`.

Features are drawn from a model of simulated windows (`benchmarks.drawn` says how); the run compares them with simulated
windows, feature by feature, and runs the detector over some days of simulated waveforms as well. The rest of the path
(sensors' samples) is measured by `benchmarks.injected`, on simulated waveforms throughout. Nothing here is a
measurement on a real machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawn import YEAR_WINDOWS, DrawnMachine
from benchmarks.injected import INJECTIONS, machine_fault, sensor_fault
from benchmarks.known import (
    BUDGETS,
    CONFIGS,
    KNOWN_SEEDS,
    LATE,
    draw,
    leads,
    limits_from,
    machine_that_is_known,
    rose,
)
from edge.detection import Detector
from edge.detection.own_limits import OwnLimits
from edge.detection.regime import ANY, RegimeWatch
from edge.detection.trigger import Trigger
from edge.features import Extractor
from edge.sensors.faults import FAULTS
from edge.types import AlarmChange
from training.bounds import poisson_interval

LIMITS = (1.0, 1.5, 2.0, 3.0)  # deviations, as if one of them were the limit of zone C
YEARS = (0.25,) * 16  # of each machine
LOOKED_AT = 12  # the first machines were looked at while the rule of own limits was chosen
BLIND_YEARS = 0.02
DAY = 8640
SEEDS, CHANGING_SEEDS = 20, 6
_WHOSE = {
    "budgets": "own limits",
    "unseen_budgets": "own limits, machines not looked at before",
    "day_zero_budgets": "day zero's limits for good",
}
_DEVIATIONS = (0.5, 0.99, 0.9999)


def measure(progress: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)) -> dict[str, Any]:
    """All figures of this part, by name; a line of progress for each machine."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        machines = []
        for found in pool.map(machine_years, enumerate(YEARS)):
            machines.append(found)
            progress(f"machine {found['seed']}: {found['years']:g} years, alarms {found['alarms']}")
        blind = sum(pool.map(blind_alarms, range(4)))
        days = list(pool.map(simulated_day, range(100, 104)))
        progress("days of simulated waveforms done")
        sensor = _shares(pool.map(sensor_fault, [(n, s) for n in INJECTIONS for s in range(SEEDS)], chunksize=5))
        progress("sensor faults done")
        kinds = [f for f in FAULTS if f != "none"]
        steady = list(pool.map(machine_fault, [(f, s, False) for f in kinds for s in range(SEEDS)], chunksize=5))
        progress("machine faults at steady speed done")
        changing = list(pool.map(machine_fault, [(f, s, True) for f in kinds for s in range(CHANGING_SEEDS)]))
        progress("machine faults at changing speed done")
        known = [life for lives in pool.map(machine_that_is_known, KNOWN_SEEDS) for life in lives]
    years = sum(m["years"] for m in machines)
    return {
        "machine_years": years,
        "windows": sum(m["windows"] for m in machines),
        "budgets": _judged(machines, "alarms"),
        "unseen_budgets": _judged(machines[LOOKED_AT:], "alarms"),
        "day_zero_budgets": _judged(machines, "alarms_with_day_zero_limits"),
        "alarms_at_limit": {k: sum(m["alarms_at_limit"][k] for m in machines) for k in machines[0]["alarms_at_limit"]},
        "machines": machines,
        "drawn_from_simulated": {q: max(m["agreement"][q] for m in machines) for q in machines[0]["agreement"]},
        "days": days,
        "alarms_a_year_without_channels_of_speed_and_load": blind / (4 * BLIND_YEARS),
        "sensor_faults": sensor,
        "machine_faults_steady": _raised(steady),
        "machine_faults_changing": _raised(changing),
        "machine_faults_after_a_healthy_week": leads(known),
    }


def pictures(found: dict[str, Any], folder: Path) -> None:
    """Lead and false alarms against the budget, with day zero's limit and with the machine's own."""
    draw(found, folder / "budget.png")


def machine_years(task: tuple[int, float]) -> dict[str, Any]:
    """(seed, years) -> alarms under each budget, with day zero's limit for good and with the machine's own.

    The deviation does not depend on the budget, so all count on the same run; the default's own are the detector's.
    """
    seed, years = task
    drawn = DrawnMachine(seed)
    detector, regimes = Detector(drawn.machine), RegimeWatch(drawn.machine)
    own = {b: (Trigger(), OwnLimits(c, 2)) for b, c in CONFIGS.items()}
    fixed = {b: (Trigger(), limits_from(c.limit(2), c)) for b, c in CONFIGS.items()}
    lower = {limit: (Trigger(), limits_from(limit, CONFIGS[1.0])) for limit in LIMITS}
    alarms, below = dict.fromkeys(own, 0), dict.fromkeys(LIMITS, 0)
    on_day_zero, lowest = dict.fromkeys(own, 0), {b: o.day_zero for b, (_, o) in own.items()}
    told, largest = [], 0.0
    count = round(years * YEAR_WINDOWS)
    for window, rows in drawn.windows(count):
        deviation, changes = detector.update(window, rows)
        told += [a.part == "sensor" for a in changes if a.change is AlarmChange.RAISED]
        largest = max(largest, deviation)
        regime = regimes.of(rows) or ANY
        for b, (trigger, limits) in own.items():
            alarms[b] += rose(trigger, deviation, limits.update(window.time_ns, deviation, regime))
            lowest[b] = min(lowest[b], limits.now.warn)
        for counts, triggers in ((on_day_zero, fixed), (below, lower)):
            for name, (trigger, of_it) in triggers.items():
                counts[name] += rose(trigger, deviation, of_it)
    return {
        "seed": seed,
        "years": years,
        "windows": count,
        "alarms": _named(alarms),
        "alarms_with_day_zero_limits": _named(on_day_zero),
        "alarms_of_the_detector": told.count(False),
        "alarms_at_limit": _named(below),
        "sensor_alarms": told.count(True),
        "largest_deviation": largest,
        "own_limits": _named({b: round(limit, 2) for b, limit in lowest.items()}),
        "agreement": drawn.agreement(),
    }


def _named(counts: dict[float, Any]) -> dict[str, Any]:
    return {f"{b:g}": n for b, n in counts.items()}


def blind_alarms(seed: int) -> int:
    """Machine alarms of the same machine when no channel tells its speed and load."""
    drawn = DrawnMachine(seed, 1000)
    detector = Detector(drawn.blind())
    told = [a for w, rows in drawn.windows(round(BLIND_YEARS * YEAR_WINDOWS)) for a in detector.update(w, rows[:2])[1]]
    return sum(a.change is AlarmChange.RAISED and a.part != "sensor" for a in told)


def simulated_day(seed: int) -> dict[str, Any]:
    """A day of simulated waveforms, and the same day drawn: quantiles of the deviation side by side, and alarms."""
    drawn = DrawnMachine(seed, 1500)
    extractor = Extractor(drawn.machine)
    sides = {"simulated": Detector(drawn.machine), "drawn": Detector(drawn.machine)}
    deviations: dict[str, list[float]] = {side: [] for side in sides}
    alarms = dict.fromkeys(sides, 0)
    for i, (window, rows) in enumerate(drawn.windows(DAY)):
        real = sides["simulated"].check(drawn.simulator.window(i))
        for side, given in (("simulated", (real, extractor.extract(real))), ("drawn", (window, rows))):
            deviation, told = sides[side].update(*given)
            deviations[side].append(deviation)
            alarms[side] += len(told)
    quantiles = {s: np.round(np.quantile(d, _DEVIATIONS), 2).tolist() for s, d in deviations.items()}
    return {"seed": seed, "alarms": alarms, "deviation": quantiles}


def _judged(machines: list[dict[str, Any]], counts: str) -> dict[str, Any]:
    years = sum(m["years"] for m in machines)
    return {f"{b:g}": judged(sum(m[counts][f"{b:g}"] for m in machines), years, b) for b in BUDGETS}


def judged(alarms: int, years: float, budget: float) -> dict[str, Any]:
    """The measured rate with its exact 95 % interval, and whether the budget is kept."""
    low, high = (e / years for e in poisson_interval(alarms))
    return {"alarms": alarms, "a_year": alarms / years, "interval": [low, high], "kept": low <= budget}


def _shares(found: Iterable[tuple[str, bool, bool]]) -> dict[str, dict[str, float]]:
    table: dict[str, list[tuple[bool, bool]]] = {}
    for name, sensor, machine in found:
        table.setdefault(name, []).append((sensor and not machine, machine))
    return {
        n: dict(zip(("called_sensor", "called_machine"), np.mean(t, axis=0), strict=True)) for n, t in table.items()
    }


def _raised(found: Iterable[tuple[str, bool, bool, float]]) -> dict[str, dict[str, float]]:
    """By fault: runs, how many were missed, late, or called a sensor's; the lead of the others as a share of life."""
    table: dict[str, list[tuple[bool, bool, float]]] = {}
    for name, *figures in found:
        table.setdefault(name, []).append((bool(figures[0]), bool(figures[1]), float(figures[2])))
    return {name: _leads(runs) for name, runs in table.items()}


def _leads(runs: list[tuple[bool, bool, float]]) -> dict[str, float]:
    leads = [1.0 - first for raised, _, first in runs if raised]
    return {
        "runs": len(runs),
        "missed": len(runs) - len(leads),
        "late": sum(lead < LATE for lead in leads),
        "called_sensor": sum(sensor for _, sensor, _ in runs),
        "median_lead": float(np.median(leads)) if leads else 0.0,
        "least_lead": min(leads, default=0.0),
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The table of this part."""
    table = [("drawn machine-years at changing speed and load", f"{found['machine_years']:g}")]
    for key, whose in _WHOSE.items():
        for budget, b in found[key].items():
            low, high = b["interval"]
            word = "kept" if b["kept"] else "NOT kept"
            said = f"{b['alarms']} alarms, {b['a_year']:.2f} ({low:.2f} to {high:.2f}) a year: {word}"
            table.append((f"budget {budget} a year, {whose}", said))
    known = found["machine_faults_after_a_healthy_week"]
    for kind in ("own", "day_zero"):
        for budget, k in known[kind].items():
            middle = ", ".join(f"{q:.3f}" for q in k["quartiles"])
            said = f"{k['missed']} missed, {k['late']} late, quartiles of life left {middle}"
            table.append((f"{known['lives']} lives after a healthy week, budget {budget}, {kind} limit", said))
    counted = ", ".join(f"{limit}: {n}" for limit, n in found["alarms_at_limit"].items())
    table.append(("alarms, had the limit been so low", counted))
    blind = found["alarms_a_year_without_channels_of_speed_and_load"]
    table.append(("the same without channels of speed and load", f"{blind:.0f} a year"))
    apart = ", ".join(f"{q}: {v:.2f}" for q, v in found["drawn_from_simulated"].items())
    table.append(("largest log distance of drawn from simulated quantiles", apart))
    for day in found["days"]:
        sides = " | ".join(f"{s} {q}, {day['alarms'][s]} alarms" for s, q in day["deviation"].items())
        table.append((f"deviation at {_DEVIATIONS} on one day", sides))
    for name, share in found["sensor_faults"].items():
        table.append(
            (f"{name}: called sensor, machine", f"{share['called_sensor']:.2f}, {share['called_machine']:.2f}")
        )
    for which in ("steady", "changing"):
        for name, f in found[f"machine_faults_{which}"].items():
            missed = f"{f['missed']} of {f['runs']} missed, {f['late']} late"
            table.append(
                (f"{which} {name}", f"{missed}, {f['median_lead']:.2f} of life left, {f['least_lead']:.2f} at least")
            )
    return table
