"""Machines that fail after a healthy week: what an alarm's lead is under each budget, and the picture of both.

The week is drawn (`benchmarks.drawn`), the failing life that follows is simulated sample by sample at the same speeds
and loads as `benchmarks.injected` has them. Each life is judged twice, with the machine's own limit and with day
zero's, for every budget on the same deviations. An alarm that rises before the fault begins does not count as warning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawn import DrawnMachine
from edge.detection import DetectionConfig, Detector
from edge.detection.own_limits import OwnLimits
from edge.detection.regime import ANY, RegimeWatch
from edge.detection.trigger import NORMAL, Limits, Trigger
from edge.features import Extractor
from edge.sensors.faults import FAULTS
from edge.sensors.simulator import Simulator

BUDGETS = (0.1, 1.0, 10.0, 30.0, 100.0, 300.0)
CONFIGS = {b: DetectionConfig(false_alarms_per_year=b) for b in BUDGETS}
KNOWN_SEEDS = range(30, 36)
LATE = 0.1  # of life: an alarm that leaves less is late
HEALTHY, LIFE = 8 * 8640, 2160  # windows of 10 s: a week and the hours that close it, then six hours to the failure
OWN, DAY_ZERO = "own", "day_zero"
_NONE = 0.03  # where no alarm at all is drawn on the logarithmic axis


class _FailsLater(Simulator):
    """A life whose windows are counted from the beginning of the healthy week."""

    def severity(self, index: int) -> float:
        return super().severity(index - HEALTHY)


def limits_from(limit: float, c: DetectionConfig) -> Limits:
    """The limits of a trigger, had the limit of zone C been this one."""
    return Limits(limit, limit * c.act_factor, limit * c.deadband, c.on_delay_windows, c.off_delay_windows)


def rose(trigger: Trigger, deviation: float, limits: Limits) -> bool:
    """Whether this window raised the alarm."""
    before = trigger.level
    return trigger.update(deviation, limits) != NORMAL and before == NORMAL


def machine_that_is_known(seed: int) -> list[dict[str, Any]]:
    """One machine's week, then each of its failing lives: the fault, and the lead by limit and budget, 0 none."""
    drawn = DrawnMachine(seed)
    detector, regimes = Detector(drawn.machine), RegimeWatch(drawn.machine)
    own = {b: OwnLimits(c, 2) for b, c in CONFIGS.items()}
    for window, rows in drawn.windows(HEALTHY):
        deviation, _ = detector.update(window, rows)
        for limits in own.values():
            limits.update(window.time_ns, deviation, regimes.of(rows) or ANY)
    return [_life(seed, fault, detector.dump(), own) for fault in FAULTS if fault != "none"]


def _life(seed: int, fault: str, week: bytes, own: dict[float, OwnLimits]) -> dict[str, Any]:
    simulator = _FailsLater(f"drawn-{seed}", seed, fault, 10.0 * LIFE, speed=None, regimes=True, start_ns=0)
    extractor, detector, regimes = (
        Extractor(simulator.machine),
        Detector(simulator.machine),
        RegimeWatch(simulator.machine),
    )
    detector.load(week)
    fixed = {b: limits_from(c.limit(2), c) for b, c in CONFIGS.items()}
    triggers = {kind: {b: Trigger() for b in BUDGETS} for kind in (OWN, DAY_ZERO)}
    leads: dict[str, dict[str, float]] = {kind: {f"{b:g}": 0.0 for b in BUDGETS} for kind in triggers}
    for i in range(LIFE):
        window = detector.check(simulator.window(HEALTHY + i))
        rows = extractor.extract(window)
        deviation, _ = detector.update(window, rows)
        grows, regime = simulator.severity(HEALTHY + i) > 0.0, regimes.of(rows) or ANY
        for b in BUDGETS:
            now = {OWN: own[b].update(window.time_ns, deviation, regime), DAY_ZERO: fixed[b]}
            for kind, limits in now.items():
                if rose(triggers[kind][b], deviation, limits) and grows and not leads[kind][f"{b:g}"]:
                    leads[kind][f"{b:g}"] = 1.0 - i / LIFE
    return {"fault": fault, "seed": seed, "leads": leads}


def leads(lives: list[dict[str, Any]]) -> dict[str, Any]:
    """By kind of limit and budget: lives, missed, late, quartiles of the lead as a share of life."""
    found: dict[str, Any] = {"lives": len(lives), "life_windows": LIFE}
    for kind in (OWN, DAY_ZERO):
        found[kind] = {}
        for b in BUDGETS:
            given = np.array([life["leads"][kind][f"{b:g}"] for life in lives])
            found[kind][f"{b:g}"] = {
                "missed": int((given == 0.0).sum()),
                "late": int(((given > 0.0) & (given < LATE)).sum()),
                "quartiles": np.round(np.quantile(given, (0.25, 0.5, 0.75)), 4).tolist(),
            }
    return found


def draw(found: dict[str, Any], file: Path) -> None:
    """Write the picture: alarms of healthy machines against the budget, and beside it the lead that it buys."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only pictures need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    kinds = (
        (OWN, "budgets", "own limit, after a healthy week", "C0"),
        (DAY_ZERO, "day_zero_budgets", "day zero's limit", "C1"),
    )
    for kind, key, label, colour in kinds:
        rates = found[key]
        low, high = (np.array([rates[f"{b:g}"]["interval"][i] for b in BUDGETS]) for i in (0, 1))
        rate = np.array([rates[f"{b:g}"]["a_year"] for b in BUDGETS])
        shift = 0.94 if kind == OWN else 1.06
        left.errorbar(
            np.array(BUDGETS) * shift,
            np.maximum(rate, _NONE),
            yerr=(np.maximum(rate, _NONE) - np.maximum(low, _NONE), high - np.maximum(rate, _NONE)),
            fmt="o", capsize=3, color=colour, label=label,
        )  # fmt: skip
        quartiles = found["machine_faults_after_a_healthy_week"][kind]
        q = 100.0 * np.array([quartiles[f"{b:g}"]["quartiles"] for b in BUDGETS])
        right.plot(BUDGETS, q[:, 1], marker="o", color=colour, label=label)
        right.fill_between(BUDGETS, q[:, 0], q[:, 2], color=colour, alpha=0.15, linewidth=0)
    left.plot(BUDGETS, BUDGETS, color="grey", linestyle="--", linewidth=1, label="as many as the budget allows")
    left.set_yscale("log")
    left.set_title(f"false alarms a year, {found['machine_years']:g} simulated machine-years")
    left.set_ylabel("measured, 95 % interval; bottom: none")
    right.axhline(100.0 * LATE, color="grey", linestyle="--", linewidth=1)
    right.annotate("late", (0.1, 100.0 * LATE - 1.2), color="grey")
    right.set_title("first alarm of failing machines: life left, %")
    right.set_ylabel("median, and the middle half")
    right.set_ylim(bottom=0.0)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(BUDGETS, [f"{b:g}" for b in BUDGETS])
        axes.minorticks_off()
        axes.set_xlabel("budget: false alarms a machine-year")
        axes.grid(visible=True, which="major", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(file, metadata={"Software": None} if file.suffix == ".png" else None)
