"""Slow and broken links."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edge import wire
from edge.types import Kind
from edge.uplink import Deadlines
from tests.edge.device_simulator import DeviceSimulator, records
from tests.edge.gateway_simulator import GatewaySimulator
from tests.edge.slow_link import SlowLink

Make = Callable[..., DeviceSimulator]
RATE = 50_000  # bytes/s


def test_an_alert_overtakes_a_backlog_on_a_slow_link(make_device: Make, gateway: GatewaySimulator) -> None:
    """Row 16. The backlog needs some 20 s of the link; unpaced, it would fill every buffer before the alert."""
    link = SlowLink(gateway.port, RATE)
    try:
        device = make_device(addresses=[link.address])
        for i in range(10):
            device.append(5000, start=5000 * i)
        assert device.outbox.kept_bytes > 15 * RATE
        device.connect()
        gateway.wait_until(lambda: len(gateway.order) >= 4)
        begin = time.monotonic()
        device.raise_alarm()
        gateway.wait_until(lambda: any(what == "alert" for _, what, _ in gateway.order))
        assert time.monotonic() - begin < 4.0
        assert len(next(iter(gateway.shelves.values())).rows) < 25_000
        device.disconnect()
    finally:
        link.close()


def test_an_alert_outwaits_a_raw_snapshot_on_a_slow_link_and_the_next_snapshot_waits_for_alerts(
    make_device: Make, gateway: GatewaySimulator
) -> None:
    """Row 16. A record travels whole: 4 s on this link, more than an alert's answer may take on an idle one."""
    link = SlowLink(gateway.port, RATE, buffer=None)
    try:
        device = make_device(addresses=[link.address])
        device.deadlines = Deadlines(welcome_s=10.0, alert_s=0.5, stored_s=60.0)
        raw = replace(records(1)[0], kind=Kind.WAVEFORM, schema=None, values=np.ones(50_000, np.float32))
        snapshot = wire.pack([raw], replay=True)
        device.outbox.append(snapshot)
        device.raise_alarm("P-101/1")
        device.connect()
        gateway.wait_until(lambda: [what for _, what, _ in gateway.order] == ["alert"])
        gateway.wait_until(lambda: link.passed > RATE / 2)  # the snapshot is under way
        device.raise_alarm("P-101/2")
        gateway.wait_until(lambda: device.outbox.kept_bytes == 0, within_s=60)
        assert [what for _, what, _ in gateway.order] in (["alert", "batch", "alert"], ["alert", "alert", "batch"])
        assert len(gateway.hellos) == 1
        device.disconnect()
    finally:
        link.close()
