"""Slow and broken links."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.edge.device_simulator import DeviceSimulator
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
