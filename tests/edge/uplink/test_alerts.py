"""Alerts go together, and none waits for another but for an earlier change of its own alarm."""

from __future__ import annotations

from collections.abc import Callable

from edge.outbox.table import OVERHEAD
from edge.uplink.alerts import AT_ONCE
from tests.edge.device_simulator import DeviceSimulator
from tests.edge.gateway_simulator import GatewaySimulator

Make = Callable[..., DeviceSimulator]


def test_alerts_that_wait_go_together(gateway: GatewaySimulator, make_device: Make) -> None:
    device = make_device()
    for n in range(AT_ONCE):
        device.raise_alarm(f"P-101/{n}")
    gateway.faults.alerts_together = AT_ONCE  # one by one, the first would never be answered
    device.connect()
    gateway.wait_until(lambda: not device.outbox.kept_bytes)
    assert gateway.stored == device.produced
    assert len(gateway.order) == AT_ONCE
    assert len(gateway.hellos) == 1


def test_a_new_alert_does_not_wait_for_those_under_way(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.alerts_together = 2
    device = make_device()
    device.connect()
    device.raise_alarm("P-101/1")
    gateway.wait_until(lambda: gateway.alerts_waiting == 1)
    device.raise_alarm("P-101/2")
    gateway.wait_until(lambda: not device.outbox.kept_bytes)
    assert len(gateway.hellos) == 1


def test_no_more_alerts_are_under_way_than_the_link_carries_in_a_second(
    gateway: GatewaySimulator, make_device: Make
) -> None:
    gateway.credit_bytes = 1_000
    gateway.faults.alerts_together = 1 << 30
    device = make_device()
    for n in range(AT_ONCE):
        device.raise_alarm(f"P-101/{n}")
    most = 1_000 // (device.outbox.kept_bytes // AT_ONCE - OVERHEAD)
    assert 1 < most < AT_ONCE
    device.connect()
    gateway.wait_until(lambda: gateway.alerts_waiting >= most)
    device.append(1)
    gateway.wait_until(lambda: len(device.outbox.kept_ranges()) == 1)  # it was stored: the device had its time
    assert gateway.alerts_waiting == most
    gateway.faults.alerts_together = 1
    gateway.wait_until(lambda: not device.outbox.kept_bytes)
    assert gateway.stored == device.produced


def test_the_changes_of_one_alarm_keep_their_order(gateway: GatewaySimulator, make_device: Make) -> None:
    device = make_device()
    changes = [device.raise_alarm("P-101/1") for _ in range(3)]
    other = device.raise_alarm("P-101/2")
    gateway.faults.alerts_together = 2
    device.connect()
    gateway.wait_until(lambda: not device.outbox.kept_bytes)
    came = [sequence for _, _, sequence in gateway.order]
    assert came.index(other) < came.index(changes[1]), "another alarm waits for none of them"
    assert [n for n in came if n in changes] == changes
