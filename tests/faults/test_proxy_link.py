"""Links that are worse than closed: half-open, truncated, reset again and again, late. Rows 15 and 16."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.edge.device_simulator import DeviceSimulator
from tests.edge.gateway_simulator import GatewaySimulator
from tests.faults.proxy import FaultProxy

Make = Callable[..., DeviceSimulator]


@pytest.fixture
def link(gateway: GatewaySimulator) -> Iterator[FaultProxy]:
    proxy = FaultProxy(gateway.port)
    yield proxy
    proxy.close()


def assert_all_once(gateway: GatewaySimulator, device: DeviceSimulator) -> None:
    gateway.wait_until(lambda: device.outbox.kept_bytes == 0)
    device.disconnect()
    assert gateway.stored == device.produced
    assert gateway.stored_twice == 0


def test_a_half_open_link_is_left_within_its_deadline_for_the_other_gateway(
    gateway: GatewaySimulator, link: FaultProxy, make_device: Make
) -> None:
    """Row 15. Nobody tells the device: only the missing answers do."""
    device = make_device(addresses=[link.address, gateway.address])
    device.append(10)
    device.connect()
    gateway.wait_until(lambda: device.outbox.kept_bytes == 0)
    assert len(gateway.hellos) == 1
    link.half_open()
    begin = time.monotonic()
    device.append(10, start=10)
    assert_all_once(gateway, device)
    assert time.monotonic() - begin < 2 * device.deadlines.stored_s + 2
    assert len(gateway.hellos) == 2


def test_a_stream_cut_in_mid_message_again_and_again_is_resumed(
    gateway: GatewaySimulator, link: FaultProxy, make_device: Make
) -> None:
    device = make_device(addresses=[link.address])
    rng = random.Random(4)
    device.append(3000)
    link.truncate_after = 5000
    device.connect()
    for cut in range(6):
        gateway.wait_until(lambda: link.truncate_after is None)
        device.append(200, start=3000 + 200 * cut)
        link.truncate_after = rng.randrange(300, 4000)
    gateway.wait_until(lambda: link.truncate_after is None)
    assert_all_once(gateway, device)
    assert len(gateway.hellos) > 3


def test_resets_and_delays_lose_and_double_nothing(
    gateway: GatewaySimulator, link: FaultProxy, make_device: Make
) -> None:
    link.delay_s = 0.01
    device = make_device(addresses=[link.address])
    device.connect()
    for part in range(3):
        device.append(50, start=50 * part)
        gateway.wait_until(lambda part=part: link.linked > part)
        link.reset()
    assert_all_once(gateway, device)


def test_what_a_link_swallowed_is_sent_again(gateway: GatewaySimulator, link: FaultProxy, make_device: Make) -> None:
    device = make_device(addresses=[link.address])
    device.append(10)
    device.connect()
    gateway.wait_until(lambda: device.outbox.kept_bytes == 0)
    link.dropping = True
    device.append(10, start=10)
    gateway.wait_until(lambda: len(device.outbox.kept_ranges()) == 1)
    link.reset()
    link.heal()
    assert_all_once(gateway, device)
