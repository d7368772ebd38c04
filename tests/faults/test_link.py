"""Slow and broken links."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from edge.outbox import Entry
from edge.uplink import Deadlines
from edge.uplink.bulk import Bulk
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


def kinds(gateway: GatewaySimulator) -> list[str]:
    return [what for _, what, _ in gateway.order]


def test_alerts_and_live_windows_overtake_a_raw_snapshot_between_its_parts(
    make_device: Make, gateway: GatewaySimulator
) -> None:
    """Row 16. The snapshot takes 3 s of this link."""
    link = SlowLink(gateway.port, RATE, buffer=None)
    try:
        device = make_device(addresses=[link.address])
        device.deadlines = Deadlines(welcome_s=10.0, alert_s=5.0, stored_s=60.0)
        device.connect()
        gateway.wait_until(lambda: len(gateway.hellos) == 1)
        device.append_raw(40_000)
        gateway.wait_until(lambda: gateway.parts >= 4)
        device.append(10)
        device.raise_alarm()
        gateway.wait_until(lambda: kinds(gateway).count("batch") == 1 and "alert" in kinds(gateway))
        so_far = kinds(gateway)
        gateway.wait_until(lambda: device.outbox.kept_bytes == 0, within_s=60)
        assert kinds(gateway)[len(so_far) :].count("part") > 4, "the snapshot was under way all the time"
        assert kinds(gateway)[-1] == "batch"
        assert len(gateway.hellos) == 1
        assert gateway.stored_twice == 0
        device.disconnect()
    finally:
        link.close()


def test_a_record_in_parts_outlives_cut_links_and_is_stored_once(
    make_device: Make, gateway: GatewaySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 15. Each of the first connections ends between two parts, the next ones begin the record anew."""
    write = Bulk._write_part
    cuts = iter([1, 3, 5])
    left = [0]

    async def cut(bulk: Bulk, entry: Entry, size: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            gateway.stop()
            gateway.start()
        await write(bulk, entry, size)

    def next_cut() -> None:
        left[0] = next(cuts, -1)

    gateway.credit_bytes = 8_000  # so that it takes 40 parts on any link
    device = make_device()
    monkeypatch.setattr(Bulk, "_write_part", cut)
    gateway.welcomed = next_cut
    device.append_raw(20_000)
    device.append(10)
    device.connect()
    gateway.wait_until(lambda: device.outbox.kept_bytes == 0, within_s=60)
    device.disconnect()
    assert len(gateway.hellos) >= 4
    assert gateway.stored == {(device.outbox.epoch, n) for n in range(1, 12)}
    assert gateway.stored_twice == 0


def test_to_a_gateway_that_knows_no_parts_an_alert_outwaits_a_snapshot_and_the_next_one_waits_for_alerts(
    make_device: Make, gateway: GatewaySimulator
) -> None:
    """Row 16. There a record travels whole: 4 s on this link, more than an alert's answer may take on an idle one."""
    gateway.protocol_version = 2
    link = SlowLink(gateway.port, RATE, buffer=None)
    try:
        device = make_device(addresses=[link.address])
        device.deadlines = Deadlines(welcome_s=10.0, alert_s=0.5, stored_s=60.0)
        device.append_raw(50_000)
        device.raise_alarm("P-101/1")
        device.connect()
        gateway.wait_until(lambda: kinds(gateway) == ["alert"])
        gateway.wait_until(lambda: link.passed > RATE / 2)  # the snapshot is under way
        device.raise_alarm("P-101/2")
        gateway.wait_until(lambda: device.outbox.kept_bytes == 0, within_s=60)
        assert kinds(gateway) in (["alert", "batch", "alert"], ["alert", "alert", "batch"])
        assert len(gateway.hellos) == 1
        device.disconnect()
    finally:
        link.close()
