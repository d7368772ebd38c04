from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from edge import wire
from edge.outbox import Parcel
from edge.types import Kind
from edge.uplink import Link
from tests.edge.device_simulator import DeviceSimulator, records
from tests.edge.gateway_simulator import GatewaySimulator

Make = Callable[..., DeviceSimulator]


def delivered(device: DeviceSimulator) -> Callable[[], bool]:
    return lambda: device.outbox.kept_bytes == 0


def assert_exact(gateway: GatewaySimulator, device: DeviceSimulator) -> None:
    assert gateway.stored == device.produced
    assert gateway.stored_twice == 0
    assert not gateway.unknown_schemas


def test_everything_kept_is_stored_once_and_then_forgotten(gateway: GatewaySimulator, make_device: Make) -> None:
    device = make_device()
    device.append(1000)
    device.connect()
    device.append(300, start=1000)
    device.raise_alarm()
    gateway.wait_until(delivered(device))
    assert_exact(gateway, device)


def test_a_record_whose_acknowledgement_was_lost_is_stored_once(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.break_after_store = 3
    device = make_device()
    device.connect()
    for left in (2, 1, 0):
        device.append(10)
        gateway.wait_until(lambda left=left: gateway.faults.break_after_store == left)
    gateway.wait_until(delivered(device))
    assert len(gateway.hellos) >= 4
    assert_exact(gateway, device)


def test_a_stream_that_breaks_in_a_batch_is_resumed(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.break_before_store = 3
    device = make_device()
    device.append(500)
    device.connect()
    gateway.wait_until(delivered(device))
    assert gateway.faults.break_before_store == 0
    assert_exact(gateway, device)


def test_a_gateway_that_goes_and_comes_back_gets_the_rest(gateway: GatewaySimulator, make_device: Make) -> None:
    device = make_device()
    device.connect()
    device.append(50)
    gateway.wait_until(delivered(device))
    gateway.stop()
    device.append(50, start=50)
    gateway.start()
    device.append(50, start=100)
    gateway.wait_until(delivered(device))
    assert_exact(gateway, device)


def test_the_next_gateway_of_the_list_is_tried(gateway: GatewaySimulator, make_device: Make, free_port: int) -> None:
    device = make_device(addresses=[f"127.0.0.1:{free_port}", gateway.address])
    device.append(20)
    device.connect()
    gateway.wait_until(delivered(device))
    assert_exact(gateway, device)


def test_an_alert_overtakes_a_backlog_on_a_slow_link(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.seconds_per_byte = 1 / 200_000
    device = make_device()
    for i in range(20):
        device.append(5000, start=5000 * i)  # about 2 MB: ten seconds
    device.connect()
    gateway.wait_until(lambda: len(gateway.order) > 3)
    sequence = device.raise_alarm()
    gateway.wait_until(lambda: any(what == "alert" for _, what, _ in gateway.order), within_s=5)
    shelf = next(iter(gateway.shelves.values()))
    assert list(shelf.alerts) == [sequence]
    assert len(shelf.rows) < 60_000


def test_live_windows_overtake_the_backlog(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.seconds_per_byte = 1 / 200_000
    device = make_device()
    for i in range(20):
        device.append(5000, start=5000 * i)
    head = device.outbox.head
    device.connect()
    gateway.wait_until(lambda: len(gateway.order) > 3)
    device.append(10)
    gateway.wait_until(lambda: any(first > head for _, _, first in gateway.order), within_s=5)
    assert len(next(iter(gateway.shelves.values())).rows) < 60_000


def test_what_is_only_received_is_kept_and_sent_again(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.never_store = True
    device = make_device()
    device.append(100)
    device.connect()
    gateway.wait_until(lambda: len(gateway.order) > 0)
    kept = device.outbox.kept_ranges()
    assert kept == [(1, 100)]
    gateway.faults.never_store = False
    gateway.wait_until(delivered(device))  # the device gives up on a stream that stores nothing
    assert_exact(gateway, device)


def test_a_gateway_without_a_welcome_is_left(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.silent_welcome = True
    device = make_device()
    device.append(5)
    device.connect()
    gateway.wait_until(lambda: len(gateway.hellos) == 1)
    gateway.faults.silent_welcome = False
    gateway.wait_until(delivered(device))
    assert_exact(gateway, device)


@pytest.mark.parametrize("status", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED])
def test_a_refused_device_keeps_everything_and_asks_again(
    gateway: GatewaySimulator, make_device: Make, status: grpc.StatusCode
) -> None:
    gateway.faults.refuse_hello = status
    device = make_device()
    device.append(5)
    device.connect()
    gateway.wait_until(lambda: len(gateway.hellos) >= 2)
    assert device.outbox.kept_ranges() == [(1, 5)]
    gateway.faults.refuse_hello = None
    gateway.wait_until(delivered(device))
    assert_exact(gateway, device)


def test_an_alert_that_is_refused_for_good_does_not_block_the_next(
    gateway: GatewaySimulator, make_device: Make
) -> None:
    gateway.faults.refuse_alerts = grpc.StatusCode.INVALID_ARGUMENT
    device = make_device()
    refused = device.raise_alarm("P-101/1")
    device.connect()
    gateway.wait_until(delivered(device))
    gateway.faults.refuse_alerts = None
    accepted = device.raise_alarm("P-101/2")
    gateway.wait_until(delivered(device))
    shelf = next(iter(gateway.shelves.values()))
    assert list(shelf.alerts) == [accepted]
    assert [(a, b) for a, b, reason in shelf.gaps if "refused by the test" in reason] == [(refused, refused)]


def test_an_alert_whose_number_is_in_use_is_delivered_in_a_new_epoch(
    gateway: GatewaySimulator, make_device: Make
) -> None:
    device = make_device()
    gateway.faults.refuse_alerts = grpc.StatusCode.ALREADY_EXISTS
    old = device.outbox.epoch
    device.raise_alarm()
    device.connect()
    gateway.wait_until(lambda: device.outbox.epoch != old)
    gateway.faults.refuse_alerts = None
    gateway.wait_until(delivered(device))
    assert gateway.stored == {(device.outbox.epoch, 1)}


def test_a_gateway_that_speaks_another_version_is_left_alone_and_nothing_is_lost(
    gateway: GatewaySimulator, make_device: Make
) -> None:
    gateway.protocol_version = wire.PROTOCOL_VERSION + 1
    device = make_device()
    device.append(5)
    device.connect()
    gateway.wait_until(lambda: len(gateway.hellos) >= 2)
    assert not gateway.order
    gateway.protocol_version = wire.OLDEST_PROTOCOL_VERSION
    gateway.wait_until(delivered(device))
    assert_exact(gateway, device)


def test_an_alert_waits_for_a_service_that_is_away(gateway: GatewaySimulator, make_device: Make) -> None:
    gateway.faults.refuse_alerts = grpc.StatusCode.UNAVAILABLE
    device = make_device()
    device.raise_alarm()
    device.append(5)
    device.connect()
    gateway.wait_until(lambda: len(gateway.hellos) >= 3)
    gateway.faults.refuse_alerts = None
    gateway.wait_until(delivered(device))
    assert_exact(gateway, device)


def test_a_batch_larger_than_a_message_may_be_is_split_and_its_records_keep_their_numbers(
    gateway: GatewaySimulator, make_device: Make
) -> None:
    gateway.largest_message_bytes = 1_500
    device = make_device()
    device.append(256)  # one parcel of some 5 kB
    huge = [replace(r, values=np.full(1_000, 7.0, np.float32)) for r in records(2)]
    device.outbox.append(wire.pack([*records(2), *huge], replay=True))
    assert len(device.outbox.kept_ranges()) == 1
    device.connect()
    gateway.wait_until(delivered(device))
    shelf = next(iter(gateway.shelves.values()))
    assert [(first, last) for first, last, _ in shelf.gaps] == [(259, 259), (260, 260)]
    assert set(shelf.rows) == {*range(1, 259), 261, 262}
    assert gateway.stored_twice == 0


def test_a_record_larger_than_a_message_may_be_is_set_aside_and_never_tried_again(
    gateway: GatewaySimulator, make_device: Make
) -> None:
    gateway.largest_message_bytes = 10_000
    device = make_device()
    device.outbox.append([Parcel(Kind.WAVEFORM, 1, bytes(20_000))])
    device.append(10)
    device.connect()
    gateway.wait_until(delivered(device))
    shelf = next(iter(gateway.shelves.values()))
    assert [(first, last) for first, last, _ in shelf.gaps] == [(1, 1)]
    assert set(shelf.rows) == set(range(2, 13))


def test_a_backlog_of_another_configuration_is_delivered_with_its_schema(
    gateway: GatewaySimulator, make_device: Make
) -> None:
    device = make_device()
    device.append(50)
    device.close()
    again = make_device()  # knows the schema only from its store
    again.connect()
    gateway.wait_until(delivered(again))
    assert_exact(gateway, device)


def test_what_the_quota_dropped_is_reported_as_a_gap(gateway: GatewaySimulator, make_device: Make) -> None:
    device = make_device(quota_bytes=30_000)
    for i in range(200):
        device.append(20, start=20 * i)
    device.connect()
    gateway.wait_until(delivered(device))
    (epoch,) = {e for e, _ in device.produced}
    shelf = gateway.shelves["dev-1", epoch]
    missing = {s for first, last, _ in shelf.gaps for s in range(first, last + 1)}
    assert missing | set(shelf.rows) == set(range(1, device.outbox.head + 1))
    assert not missing & set(shelf.rows)


def test_an_outage_is_said_once_however_often_it_is_tried(
    free_port: int, gateway: GatewaySimulator, make_device: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    try_another = Link.try_another

    def counted(link: Link) -> None:
        tried.append(link.address)
        try_another(link)

    monkeypatch.setattr(Link, "try_another", counted)
    device = make_device(addresses=[f"127.0.0.1:{free_port}"])
    device.longest_retry_s = 0.001
    with capture_logs() as log:
        device.connect()
        gateway.wait_until(lambda: len(tried) >= 200)
        device.disconnect()
    assert len([e for e in log if e["event"] == "not connected, trying again"]) == 1


def test_memory_does_not_grow_with_reconnects(gateway: GatewaySimulator, make_device: Make, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    device = make_device()
    device.longest_retry_s = 0.002
    gateway.faults.break_after_store = 10_000
    device.connect()
    before = 0
    for i in range(120):
        hellos = len(gateway.hellos)
        device.append(1, start=i)
        gateway.wait_until(lambda hellos=hellos: len(gateway.hellos) > hellos)
        if i == 20:
            before = psutil.Process().memory_info().rss
    gateway.faults.break_after_store = 0
    gateway.wait_until(delivered(device))
    assert psutil.Process().memory_info().rss - before < 5_000_000
    assert_exact(gateway, device)
