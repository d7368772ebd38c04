"""What alarms were worth, apart from where they come from: leads, false alarms, and what each way of maintaining costs.

An alarm at most `horizon_hours` before a failure is a true one. Any earlier one is false. In a life that was still
running at its end, nobody knows what the last `horizon_hours` would have led to: alarms there are undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn.backtest.costs import Costs
from forewarn.backtest.replay import Told
from training.bounds import poisson_interval
from training.labels import Span

YEAR_HOURS = 8_766.0
_HOUR_NS = 3.6e12
_DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """One life under one way of watching; times in hours."""

    machine: str
    failed: bool
    hours: float  # of the life
    healthy_hours: float  # in which every alarm is a false one
    false: tuple[float, ...]  # hours since the life's begin
    undecided: tuple[float, ...]
    lead_hours: float | None  # from the first true alarm to the failure; None: no such alarm, or no failure

    def in_time(self, costs: Costs) -> bool:
        """Whether a planned repair would have come before the failure."""
        return self.lead_hours is not None and self.lead_hours >= costs.planning_hours


@dataclass(frozen=True, slots=True)
class Rate:
    """False alarms a machine-year, with the exact Poisson 95 % interval."""

    alarms: int
    machine_years: float

    @property
    def a_year(self) -> float:
        """The measured rate; infinite where nothing healthy was seen."""
        return self.alarms / self.machine_years if self.machine_years else float("inf")

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        if not self.machine_years:
            return 0.0, float("inf")
        low, high = poisson_interval(self.alarms)
        return low / self.machine_years, high / self.machine_years


def judge(machine: str, life: Span, told: Sequence[Told], costs: Costs) -> Outcome:
    """Sort what was told in one life into true, false and undecided.

    An alarm that is raised early and stands is false once; where it becomes worse within the horizon, it tells anew.
    """
    hours = (life.end_ns - life.begin_ns) / _HOUR_NS
    healthy = max(hours - costs.horizon_hours, 0.0)
    at = [(t, (t.time_ns - life.begin_ns) / _HOUR_NS) for t in told]
    late = [hour for _, hour in at if hour >= healthy]
    return Outcome(
        machine=machine,
        failed=life.failed,
        hours=hours,
        healthy_hours=healthy,
        false=tuple(hour for t, hour in at if hour < healthy and t.raised),
        undecided=() if life.failed else tuple(late),
        lead_hours=hours - late[0] if life.failed and late else None,
    )


def false_alarms(outcomes: Sequence[Outcome]) -> Rate:
    """The rate over the healthy hours of all lives."""
    years = sum(o.healthy_hours for o in outcomes) / YEAR_HOURS
    return Rate(sum(len(o.false) for o in outcomes), years)


Spent = tuple[float, float]  # money, operating hours
Policy = Callable[[Outcome], Spent]


def run_to_failure(costs: Costs) -> Policy:
    """Nobody does anything before a failure."""
    return lambda o: (costs.of_failure if o.failed else 0.0, o.hours)


def fixed_interval(costs: Costs, interval_hours: float) -> Policy:
    """Repair at an age, or at the failure if that comes first (age replacement, Barlow & Hunter 1960)."""

    def spend(o: Outcome) -> Spent:
        if o.hours > interval_hours:
            return costs.of_repair, interval_hours
        return (costs.of_failure if o.failed else 0.0), o.hours

    return spend


def on_alarm(costs: Costs) -> Policy:
    """Repair `planning_hours` after a true alarm; go there in vain for each false one, and for each undecided one."""

    def spend(o: Outcome) -> Spent:
        visits = (len(o.false) + len(o.undecided)) * costs.false_alarm_visit
        if o.in_time(costs):
            assert o.lead_hours is not None
            return costs.of_repair + visits, o.hours - o.lead_hours + costs.planning_hours
        return (costs.of_failure if o.failed else 0.0) + visits, o.hours

    return spend


def rate(outcomes: Sequence[Outcome], policy: Policy) -> float:
    """Money an operating hour, by the renewal-reward theorem: all that is spent over all that is run."""
    spent = [policy(o) for o in outcomes]
    hours = sum(h for _, h in spent)
    return sum(m for m, _ in spent) / hours if hours else 0.0


def best_interval(outcomes: Sequence[Outcome], costs: Costs) -> float:
    """The age of repair that costs least on these very lives, hours; infinite where never to repair costs least.

    The cost falls between two failures, so the best age lies just before one.
    """
    ages = [float("inf"), *sorted({o.hours * (1.0 - 1e-9) for o in outcomes if o.failed})]
    return min(ages, key=lambda age: rate(outcomes, fixed_interval(costs, age)))


def fair_interval(outcomes: Sequence[Outcome], costs: Costs) -> Policy:
    """Repair each machine at the age that was best for all others: what a plan made without it would have cost."""
    ages = {
        name: best_interval([o for o in outcomes if o.machine != name], costs) for name in {o.machine for o in outcomes}
    }
    return lambda o: fixed_interval(costs, ages[o.machine])(o)


def ratio_interval(outcomes: Sequence[Outcome], policy: Policy, beside: Policy) -> tuple[float, float]:
    """95 % bootstrap interval, drawing machines, of one way's cost over another's."""
    machines = sorted({o.machine for o in outcomes})
    spent = np.array([[_total(outcomes, name, p) for p in (policy, beside)] for name in machines])  # (M, 2, 2)
    drawn = np.random.default_rng(0).integers(0, len(machines), (_DRAWS, len(machines)))
    totals = spent[drawn].sum(axis=1)  # (draws, 2 policies, money and hours)
    rates = totals[:, :, 0] / np.maximum(totals[:, :, 1], 1e-12)
    ratios = rates[:, 0] / np.maximum(rates[:, 1], 1e-12)
    low, high = np.quantile(ratios[rates[:, 1] > 0], (0.025, 0.975)) if (rates[:, 1] > 0).any() else (0.0, np.inf)
    return float(low), float(high)


def _total(outcomes: Sequence[Outcome], machine: str, policy: Policy) -> tuple[float, float]:
    spent = [policy(o) for o in outcomes if o.machine == machine]
    return sum(m for m, _ in spent), sum(h for _, h in spent)
