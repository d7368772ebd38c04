"""What the crews found, as the catalogue keeps it: maintenance history, and verdicts on alarms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cloud.alerts.types import Alert, Outcome
from cloud.catalogue import alerts, maintenance
from cloud.catalogue.access import reading
from edge.types import SENSOR as PART_SENSOR
from training.labels import FAULTY, HEALTHY, SENSOR, Labels, Maintenance, Verdict

if TYPE_CHECKING:
    from cloud.wiring import Cloud

_FINDINGS = {
    Outcome.CONFIRMED: FAULTY,
    Outcome.PART_REPLACED: FAULTY,
    Outcome.NOT_A_FAULT: HEALTHY,
    Outcome.PROCESS_CHANGE: HEALTHY,
    Outcome.SENSOR_FAULT: SENSOR,
}


def read_labels(cloud: Cloud) -> Labels:
    """Return all that was found of an enterprise's machines."""
    with reading(cloud.engine) as c:
        history = maintenance.history(c, cloud.enterprise)
        resolved = alerts.resolved(c, cloud.enterprise)
    return Labels([Maintenance(h.time_ns, h.machine, h.event, h.site) for h in history], list(verdicts(resolved)))


def verdicts(resolved: Iterable[tuple[Alert, int]]) -> Iterator[Verdict]:
    """What alerts and the times of their verdicts say of their windows; nothing, where nobody knows when they were."""
    for alert, resolved_ns in resolved:
        if alert.outcome is None or alert.said.clock_in_doubt:
            continue
        finding = _FINDINGS[alert.outcome]
        if alert.said.part == PART_SENSOR:  # which says nothing of the machine behind it
            if finding == HEALTHY:
                continue
            finding = SENSOR
        last = max(alert.raised_ns, alert.said.event_time_ns)
        if alert.active and not alert.said.replay:  # the verdict is of what stood when it was given
            last = max(last, resolved_ns)
        yield Verdict(alert.raised_ns, last, alert.machine, finding, alert.site)
