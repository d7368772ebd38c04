"""What a machine is shown as, from its alerts, its values and its silence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloud.alerts.types import Alert, State
from cloud.catalogue.fleet import LatestRow, MachineRow
from cloud.web.status import STALE_AFTER_S, Zone, judge
from tests.cloud.web.seeding import SAID

S = 1_000_000_000
NOW = 1_000_000 * S
MACHINE = MachineRow(
    site="s", machine="P-1", device="d", line="", machine_class="", simulated=False, speed_rpm=None, channels=()
)
ALERT = Alert(
    id=1,
    site="s",
    device="d",
    machine="P-1",
    state=State.NEW,
    active=True,
    outcome=None,
    severity="D",
    raised_ns=NOW,
    received_ns=NOW,
    said=SAID,
)
OF_SENSOR = replace(ALERT, id=2, severity="B", said=replace(SAID, part="sensor", fault="dead"))


def _value(metric, value, *, time_ns=NOW):
    return LatestRow(
        channel="", metric=metric, value=value, event_time_ns=time_ns, received_ns=NOW, source="b", replay=False
    )


def _zone(*alerts, values=(), silent_s=1.0):
    received = None if silent_s is None else NOW - int(silent_s * S)
    return judge(MACHINE, list(values), list(alerts), received, NOW).zone


def test_a_new_alert_gives_the_machine_its_severity():
    assert _zone(ALERT) is Zone.D
    assert _zone(replace(ALERT, severity="C")) is Zone.C


def test_the_worst_of_several_alerts_counts_and_is_the_one_that_opens():
    worst = replace(ALERT, id=3, severity="D")
    status = judge(MACHINE, [], [replace(ALERT, id=9, severity="C"), worst], NOW, NOW)
    assert (status.zone, status.alert) == (Zone.D, worst)


def test_an_acknowledged_alert_that_still_holds_keeps_the_zone():
    assert _zone(replace(ALERT, state=State.ACKNOWLEDGED)) is Zone.D


def test_a_seen_alert_that_returned_to_normal_asks_for_nothing():
    assert _zone(replace(ALERT, state=State.ACKNOWLEDGED, active=False)) is Zone.A


def test_an_alert_stands_also_when_the_machine_falls_silent():
    assert _zone(ALERT, silent_s=STALE_AFTER_S * 10) is Zone.D


def test_a_sensor_fault_is_not_a_failing_machine_and_not_silence():
    assert _zone(OF_SENSOR) is Zone.SENSOR
    assert _zone(replace(OF_SENSOR, severity="D"), silent_s=1e6) is Zone.SENSOR
    assert _zone(OF_SENSOR, ALERT) is Zone.D


@pytest.mark.parametrize("silent_s", [None, STALE_AFTER_S + 1])
def test_silence_is_a_state_of_its_own(silent_s):
    assert _zone(silent_s=silent_s) is Zone.STALE


def test_quiet_zones_follow_the_values():
    assert _zone(values=[_value("deviation@1", 0.9), _value("degradation@1", 0.1)]) is Zone.A
    assert _zone(values=[_value("deviation@1", 3.5)]) is Zone.B
    assert _zone(values=[_value("degradation@1", 0.4)]) is Zone.B


def _life(*values):
    return judge(MACHINE, list(values), [], NOW, NOW).life


def test_remaining_life_needs_all_three_quantiles_of_the_newest_assessment():
    quantiles = [_value(f"rul_{q}@1", s) for q, s in (("p05", 1.0), ("p50", 2.0), ("p95", 3.0))]
    assert _life(_value("degradation@1", 0.4), *quantiles).interval_s == (1.0, 2.0, 3.0)
    assert _life(_value("degradation@1", 0.4), *quantiles[:2]).reason == "no_trend"


def test_an_estimate_that_the_model_took_back_is_not_shown():
    old = [_value(f"rul_{q}@1", 5.0, time_ns=NOW - S) for q in ("p05", "p50", "p95")]
    life = _life(_value("degradation@1", 0.4), *old)
    assert (life.interval_s, life.reason) == (None, "no_trend")


def test_without_a_model_there_is_no_estimate_and_the_reason_says_so():
    assert _life(_value("deviation@1", 1.0)).reason == "no_model"
