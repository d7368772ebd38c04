"""A backtest as a picture: every life with its alarms, and what each way of maintaining would have cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forewarn.backtest.outcome import Outcome
from forewarn.backtest.run import MODEL, Backtest, groups

_TRUE, _FALSE, _UNDECIDED = "#1b7f3b", "#c0392b", "#888888"
_WAYS = {
    "alarms": "these alarms",
    "run_to_failure": "run to failure",
    "fixed_interval_of_the_others": "fixed interval, others' lives",
    "fixed_interval_in_hindsight": "best interval in hindsight",
}


def plot(result: Backtest, file: Path) -> None:
    """Write an image; its kind follows from the file's suffix."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only plots need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    lives = len(result.watched[0].outcomes)
    figure = Figure(figsize=(12, 2.8 + 0.32 * lives * len(result.watched)), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=[max(lives * len(result.watched), 3), 5])
    _draw_lives(above, result)
    _draw_costs(below, result)
    figure.savefig(file, metadata={"Software": None} if file.suffix == ".png" else None)


def _draw_lives(axes: Any, result: Backtest) -> None:
    names: list[str] = []
    for index in range(len(result.watched[0].outcomes)):
        for watched in result.watched:
            _draw_life(axes, watched.outcomes[index], len(names))
            seen = watched.name == MODEL and watched.outcomes[index].machine in result.learned_from
            names.append(f"{watched.outcomes[index].machine}, {watched.name}{' (in-sample)' if seen else ''}")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("hours since the life's first window")
    for colour, marker, label in (
        (_TRUE, "|", "first true alarm"),
        (_FALSE, "v", "false alarm"),
        (_UNDECIDED, "v", "undecided"),
        ("black", "X", "failure"),
    ):
        axes.plot([], [], linestyle="", marker=marker, markersize=9, markeredgewidth=2, color=colour, label=label)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_life(axes: Any, o: Outcome, row: int) -> None:
    axes.barh(row, o.hours, height=0.5, color="#dfe6ee")
    if o.failed:
        axes.barh(row, o.hours - o.healthy_hours, left=o.healthy_hours, height=0.5, color="#f6e3c5")
        axes.plot(o.hours, row, "X", color="black", markersize=7)
    if o.lead_hours is not None:
        axes.plot(o.hours - o.lead_hours, row, "|", color=_TRUE, markersize=14, markeredgewidth=3)
    for colour, times in ((_FALSE, o.false), (_UNDECIDED, o.undecided)):
        axes.plot(times, [row] * len(times), "v", color=colour, markersize=7)


def _draw_costs(axes: Any, result: Backtest) -> None:
    found = groups(result)
    height = 0.8 / len(found)
    for i, (name, group) in enumerate(found.items()):
        values = [group["cost_per_1000_hours"][way] for way in _WAYS]
        at = [row + (i - (len(found) - 1) / 2) * height for row in range(len(_WAYS))]
        axes.barh(at, values, height=height * 0.9, label=name)
    axes.set_yticks(range(len(_WAYS)), _WAYS.values(), fontsize=8)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(f"cost per 1,000 operating hours, {result.costs.currency}")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
