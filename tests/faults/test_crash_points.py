"""Row 12: a process that dies at any of the named points, of the gateway and of the device, loses and doubles nothing.

The points are the steps between which the state on a disk, in the store, in the catalogue or on the wire differs. A
test that names a step that does not exist fails, so the lists stay true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cloud.gateway import writer
from cloud.gateway.intake import Intake, Intakes
from cloud.wiring import Cloud
from edge.outbox.store import Store
from edge.uplink.bulk import Bulk
from edge.uplink.pace import SMALLEST_WINDOW, Pacer
from edge.uplink.session import Session as Uplink
from tests.cloud.conftest import opened  # noqa: F401 - the fixture of an empty cloud
from tests.cloud.gateway.device import Device
from tests.cloud.running import assert_exactly, play, running
from tests.edge.device_simulator import DeviceSimulator
from tests.edge.gateway_simulator import GatewaySimulator

GATEWAY_POINTS: list[tuple[str, Any, str]] = [
    ("before a load is encoded", writer._Attempt, "_put"),
    ("after its objects are put", writer._Attempt, "_put"),
    ("before the transaction", writer._Attempt, "_ingest"),
    ("in the transaction before its first statement", writer, "commit"),
    ("in the transaction after its last statement", writer, "commit"),
    ("before the commit is told to the sessions", Intakes, "commit"),
    ("after the commit is told to the sessions", Intakes, "commit"),
    ("after one session has it on its pile", Intake, "commit"),
]
DEVICE_POINTS: list[tuple[str, Any, str]] = [
    ("before an append's transaction", Store, "write"),
    ("after an append's transaction", Store, "write"),
    ("before records are sent", Bulk, "_write"),
    ("after records are sent", Bulk, "_write"),
    ("before a part of a record is sent", Bulk, "_write_part"),
    ("after a part of a record is sent", Bulk, "_write_part"),
    ("before what is stored is forgotten", Uplink, "_forget"),
    ("after what is stored is forgotten", Uplink, "_forget"),
    ("after the cursors are compared", Uplink, "_compare"),
]


class Crash(BaseException):
    """The process ends here."""


def dies(real: Callable[..., Any], *, after: bool, seen: list[str]) -> Callable[..., Any]:
    """`real`, at whose beginning or end the process dies; `seen` says that it did."""

    def step(*arguments: Any) -> Any:
        if not after:
            seen.append("died")
            raise Crash
        result = real(*arguments)
        seen.append("died")
        raise Crash if result is None or not asyncio.iscoroutine(result) else AssertionError

    async def awaited(*arguments: Any) -> Any:
        if after:
            await real(*arguments)
        seen.append("died")
        raise Crash

    return awaited if asyncio.iscoroutinefunction(real) else step


def ids(points: list[tuple[str, Any, str]]) -> list[str]:
    return [name for name, _, _ in points]


@pytest.mark.parametrize("point", GATEWAY_POINTS, ids=ids(GATEWAY_POINTS))
def test_a_gateway_that_dies_here_loses_and_doubles_nothing(opened: Cloud, monkeypatch, record_property, point):  # noqa: F811
    name, owner, step = point
    record_property("crash point", f"gateway {name}")
    seen: list[str] = []

    async def story() -> None:
        sender = Device()
        sender.make_many(3, 10)
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, dies(getattr(owner, step), after=name.startswith(("after", "in")), seen=seen))
            if name.endswith("before its first statement"):
                patch.setattr(owner, step, dies(lambda *_: None, after=False, seen=seen))
            async with running(opened) as gateway, sender.connect(gateway.address) as connection:
                await connection.greet()
                await connection.send(*sender.kept.values())
                with pytest.raises(Crash):
                    await asyncio.wait_for(gateway.gateway.failed(), 10)
        assert seen
        sender.make(10)
        async with running(opened) as gateway:
            await sender.deliver(gateway.address)
        assert_exactly(opened, "edge-1", 7, range(1, 41))

    play(story())


@pytest.mark.parametrize("point", DEVICE_POINTS, ids=ids(DEVICE_POINTS))
def test_a_device_that_dies_here_loses_and_doubles_nothing(
    make_device: Callable[..., DeviceSimulator], gateway: GatewaySimulator, monkeypatch, record_property, point
):
    name, owner, step = point
    record_property("crash point", f"device {name}")
    seen: list[str] = []
    gateway.credit_bytes = 8_000  # so that the raw snapshot needs parts on any link
    device = make_device()
    device.append(20)
    device.append_raw(5_000)
    with monkeypatch.context() as patch:
        patch.setattr(Pacer, "window", SMALLEST_WINDOW)  # of a link so slow that the raw record goes in parts
        patch.setattr(owner, step, dies(getattr(owner, step), after=name.startswith("after"), seen=seen))
        if owner is Store:
            with pytest.raises(Crash):
                device.append(20, start=20)
        else:
            device.connect()
            gateway.wait_until(lambda: bool(seen))
    device.close()
    again = make_device()
    expected = {(again.outbox.epoch, n) for n in range(1, again.outbox.head + 1)}
    assert again.outbox.head == (41 if name == "after an append's transaction" else 21)
    again.connect()
    gateway.wait_until(lambda: again.outbox.kept_bytes == 0)
    again.close()
    assert gateway.stored == expected
    assert gateway.stored_twice == 0


def test_the_points_are_told_apart_by_name():
    assert len({*ids(GATEWAY_POINTS), *ids(DEVICE_POINTS)}) == 17
    assert not issubclass(Crash, Exception), "a crash must not be mended by a retry"
