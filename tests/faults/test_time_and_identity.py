"""Stores that come back from a backup: nothing is mixed, nothing is lost, and somebody is told."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edge.device_simulator import DeviceSimulator
from tests.edge.gateway_simulator import GatewaySimulator

Make = Callable[..., DeviceSimulator]


def delivered(device: DeviceSimulator) -> Callable[[], bool]:
    return lambda: device.outbox.kept_bytes == 0


@pytest.mark.parametrize("appended_after_restore", [5, 50])
def test_a_restored_outbox_begins_a_new_epoch_and_both_are_kept(
    make_device: Make,
    gateway: GatewaySimulator,
    tmp_path: Path,
    appended_after_restore: int,
    capfd: pytest.CaptureFixture,
) -> None:
    """Row 10: the device's numbers end below the cloud's (5), or are used again with other content (50)."""
    device = make_device()
    device.append(30)
    device.connect()
    gateway.wait_until(delivered(device))
    device.disconnect()
    device.outbox.close()
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    device.lock.__exit__(None, None, None)
    again = make_device()
    again.append(20, start=30)
    again.connect()
    gateway.wait_until(delivered(again))
    again.close()
    before = gateway.stored

    restored = make_device("backup")
    old = restored.outbox.epoch
    restored.append(appended_after_restore, start=1000)
    restored.connect()
    gateway.wait_until(delivered(restored))
    assert restored.outbox.epoch != old
    assert before < gateway.stored
    new = gateway.stored - before
    assert new == {(restored.outbox.epoch, n) for n in range(1, appended_after_restore + 1)}
    assert gateway.stored_twice == 0
    assert "new epoch begun" in capfd.readouterr().out


def test_a_cloud_that_lost_what_it_had_stored_gets_a_new_epoch(make_device: Make, gateway: GatewaySimulator) -> None:
    """Row 10. The gap itself is the cloud's to see: Hello of the old epoch says what is neither kept nor stored."""
    device = make_device()
    device.connect()
    device.append(30)
    gateway.wait_until(delivered(device))
    epoch = device.outbox.epoch
    backup = copy.deepcopy(gateway.shelves)
    device.append(30, start=30)
    gateway.wait_until(delivered(device))
    gateway.stop()
    gateway.shelves = backup
    device.append(10, start=60)
    gateway.start()
    gateway.wait_until(delivered(device))
    assert device.outbox.epoch != epoch
    assert {n for e, n in gateway.stored if e == epoch} == set(range(1, 31))
    assert {n for e, n in gateway.stored if e != epoch} == set(range(1, 11))
    last_hello_of_the_old_epoch = [h for h in gateway.hellos if h.epoch == epoch][-1]
    assert last_hello_of_the_old_epoch.head == 70
    assert [(r.first, r.last) for r in last_hello_of_the_old_epoch.kept] == [(61, 70)]
