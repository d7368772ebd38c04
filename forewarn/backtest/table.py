"""A backtest as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forewarn.backtest.outcome import Outcome
from forewarn.backtest.run import MODEL, Backtest, groups

_LIMITS = (
    "From stored rows, not from waveforms: sensor faults are as the device marked them then, no part of a bearing is "
    "named.",
    "Each machine is judged against the first windows of the span, or of its life after a repair: a span that begins "
    "in mid-life judges it against that state.",
    "Costs are what these lives would have cost: few lives say little (the interval draws machines).",
)


def lines(result: Backtest) -> Iterator[str]:
    """Return the whole report, line by line."""
    model = result.bundle or "no model"
    yield f"Backtest of class {result.machine_class}: {model}"
    yield ""
    yield from _align(list(_lives(result)))
    yield ""
    for name, group in groups(result).items():
        yield from _group(name, group, result.costs.currency)
    for watched in result.watched:
        if watched.name == MODEL and watched.judged < watched.windows:
            yield (
                f"The model judged {watched.judged} of {watched.windows} windows; the others are a healthy start, lack "
                "what it reads, or come from faulty sensors."
            )
    yield from _LIMITS


def _lives(result: Backtest) -> Iterator[list[str]]:
    yield ["machine", "life", "end", *(x for w in result.watched for x in (w.name, "first true alarm"))]
    for same in zip(*(w.outcomes for w in result.watched), strict=True):
        first = same[0]
        cells = [first.machine, f"{first.hours:.1f} h", "failed" if first.failed else "still running"]
        for watched, outcome in zip(result.watched, same, strict=True):
            flatters = watched.name == MODEL and outcome.machine in result.learned_from
            cells += [_alarms(outcome), _lead(outcome, result) + (" (in-sample)" if flatters else "")]
        yield cells


def _alarms(outcome: Outcome) -> str:
    said = [f"{len(outcome.false)} false"] if outcome.false else []
    said += [f"{len(outcome.undecided)} undecided"] if outcome.undecided else []
    return ", ".join(said) or "no false alarm"


def _lead(outcome: Outcome, result: Backtest) -> str:
    if outcome.lead_hours is None:
        return "missed" if outcome.failed else "-"
    return f"{outcome.lead_hours:.2f} h before" + ("" if outcome.in_time(result.costs) else ", too late")


def _group(name: str, group: Mapping[str, Any], currency: str) -> Iterator[str]:
    cost = group["cost_per_1000_hours"]
    low, high = group["false_alarms_interval"]
    yield f"{name} ({group['machines']} machines, {group['hours']:.1f} h)"
    yield (
        f"  failures warned of in time  {group['warned_in_time']} of {group['failures']} "
        f"({group['warned']} at all{_median(group)})"
    )
    yield (
        f"  false alarms                {group['false_alarms']} in {group['healthy_machine_years']:.2g} healthy "
        f"machine-years: {_rate(group['false_alarms_a_machine_year'])} a machine-year, "
        f"95 % {_rate(low)} to {_rate(high)}"
    )
    yield f"  cost per 1,000 hours        {cost['alarms']:,.0f} {currency} by these alarms"
    yield f"    run to failure            {cost['run_to_failure']:,.0f} {currency}"
    others = cost["fixed_interval_of_the_others"]
    yield f"    fixed interval            {others:,.0f} {currency}, as the others' lives say"
    age = cost["interval_in_hindsight_hours"]
    when = "never" if age is None else f"every {age:.1f} h"
    yield f"    best interval there was   {cost['fixed_interval_in_hindsight']:,.0f} {currency}, in hindsight: {when}"
    low, high = cost["alarms_over_run_to_failure"]
    if low is not None and high is not None:
        yield f"    alarms / run to failure   {low:.2f} to {high:.2f} (95 %)"
    yield ""


def _median(group: Mapping[str, Any]) -> str:
    lead = group["median_lead_hours"]
    return "" if lead is None else f", median lead {lead:.2f} h"


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}"


def _align(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
