"""How a machine is shown: one zone from its alerts, its latest values and its silence. Pure: the clock is an argument.

Order, the first that holds wins: D or C from an alert somebody has to look at, a sensor fault, silence, then B or A
from the latest values. B and A are quiet on purpose: nobody is asked to do anything.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from cloud.alerts import rules
from cloud.alerts.types import Alert
from cloud.catalogue.alerts import work_of
from cloud.catalogue.fleet import LatestRow, MachineRow

STALE_AFTER_S = 120  # twelve windows of the default measuring schedule
ELEVATED_DEVIATION = 3.0  # robust z of the machine's own healthy baseline: one window in 370 by chance
ELEVATED_DEGRADATION = 0.3  # share of the way from new to failed; limits for alarms are the bundle's own


class Zone(enum.StrEnum):
    """Zones A to D of ISO 20816 as screening, and two states of not knowing."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    STALE = "stale"
    SENSOR = "sensor"


URGENCY = (Zone.D, Zone.C, Zone.SENSOR, Zone.STALE, Zone.B, Zone.A)
NEEDS_ACTION = frozenset({Zone.D, Zone.C, Zone.SENSOR})


@dataclass(frozen=True, slots=True)
class Life:
    """Remaining life in seconds (p05, p50, p95), or None and the catalogue key of the reason why not."""

    interval_s: tuple[float, float, float] | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the pages say of one machine."""

    machine: MachineRow
    zone: Zone
    alert: Alert | None  # the one that decides the zone, else the newest open one
    degradation: float | None
    deviation: float | None
    life: Life
    source: str  # the bundle that assessed it last
    replay: bool
    received_ns: int | None
    event_time_ns: int | None  # of the newest value, in the source's time base
    silent_s: float | None  # seconds without data where that is too long


def judge(
    machine: MachineRow, values: Sequence[LatestRow], open_alerts: Sequence[Alert], received_ns: int | None, now_ns: int
) -> Status:
    """Return the status of a machine; `values` are its machine-wide metrics, `open_alerts` those not resolved."""
    by_metric = {v.metric: v for v in values if not v.channel}
    silent = None if received_ns is None else (now_ns - received_ns) / 1e9
    stale = silent is None or silent > STALE_AFTER_S
    degradation, deviation = by_metric.get("degradation@1"), by_metric.get("deviation@1")
    zone, alert = _zone(degradation, deviation, open_alerts, stale=stale)
    return Status(
        machine=machine,
        zone=zone,
        alert=alert,
        degradation=degradation.value if degradation else None,
        deviation=deviation.value if deviation else None,
        life=_life(by_metric),
        source=degradation.source if degradation else "",
        replay=any(v.replay for v in values),
        received_ns=received_ns,
        event_time_ns=max((v.event_time_ns for v in values), default=None),
        silent_s=silent if stale else None,
    )


def _zone(
    degradation: LatestRow | None, deviation: LatestRow | None, open_alerts: Sequence[Alert], *, stale: bool
) -> tuple[Zone, Alert | None]:
    urgent = [a for a in open_alerts if rules.needs_action(work_of(a))]
    of_machine = [a for a in urgent if a.said.part != "sensor"]
    newest = max(open_alerts, key=lambda a: a.id, default=None)
    if of_machine:
        worst = max(of_machine, key=lambda a: (a.severity, a.id))
        return Zone(worst.severity), worst
    of_sensor = [a for a in open_alerts if a.said.part == "sensor" and a.active]
    if of_sensor:
        return Zone.SENSOR, max(of_sensor, key=lambda a: a.id)
    if stale:
        return Zone.STALE, newest
    elevated = (degradation is not None and degradation.value >= ELEVATED_DEGRADATION) or (
        deviation is not None and deviation.value >= ELEVATED_DEVIATION
    )
    return (Zone.B if elevated else Zone.A), newest


def _life(by_metric: dict[str, LatestRow]) -> Life:
    """An estimate counts only while it is as new as the assessment: a model that falls silent takes it back."""
    degradation = by_metric.get("degradation@1")
    if degradation is None:
        return Life(None, "no_model")
    quantiles = [by_metric.get(f"rul_{q}@1") for q in ("p05", "p50", "p95")]
    fresh = [q.value for q in quantiles if q is not None and q.event_time_ns == degradation.event_time_ns]
    if len(fresh) < len(quantiles):
        return Life(None, "no_trend")
    return Life((fresh[0], fresh[1], fresh[2]))
