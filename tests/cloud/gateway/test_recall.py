"""Recall: what a device's call is given, what is never given, and what is refused."""

from __future__ import annotations

import asyncio
import time

import grpc
import grpc.aio
import pytest
from sqlalchemy import insert

from cloud.catalogue import tables as t
from cloud.catalogue.access import writing
from cloud.gateway import recall, writer
from cloud.lake.reader import Lake
from cloud.wiring import Cloud
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import TelemetryServiceStub
from tests.cloud.gateway.device import Device, batch, channel_to
from tests.cloud.lake.filling import fill_copy
from tests.cloud.running import eventually, play, running

NOW_S = int(time.time())
STATE = {"kind": pb.RECORD_KIND_STATE, "schema": 0, "dtype": pb.DTYPE_UINT8, "points": [pb.Point(machine="P-101")]}


async def ask(address: str, *machines: str, **changes: str) -> list[pb.RecallResponse]:
    me = {"enterprise": "demo", "site": "hall", "device": "edge-1", **changes}
    async with channel_to(address) as channel:
        request = pb.RecallRequest(**me, machines=machines)
        return [piece async for piece in TelemetryServiceStub(channel).Recall(request, timeout=10)]


async def status_of(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details()


def test_a_large_copy_that_came_as_a_record_is_given_back_in_bounded_pieces(opened: Cloud):
    copy = bytes(range(256)) * 800

    async def story() -> None:
        device = Device("edge-1")
        async with running(opened) as gateway:
            device.make(1, **STATE, width=len(copy), values=copy)
            await device.deliver(gateway.address)
            pieces = await ask(gateway.address, "P-101", "P-102")
        assert b"".join(p.data for p in pieces) == copy
        assert max(len(p.data) for p in pieces) <= 65_536
        assert [p.last for p in pieces] == [False, False, False, True]
        assert {p.machine for p in pieces} == {"P-101"}

    play(story())


def test_what_was_learned_before_the_crew_ordered_a_new_baseline_is_not_given(opened: Cloud):
    """Also where the device died before it could say so."""
    fill_copy(opened, 1, made_s=NOW_S - 100)
    fill_copy(opened, 2, made_s=NOW_S - 100, machine="P-102")
    order = {"enterprise": "demo", "site": "hall", "device": "edge-1", "machine": "P-101", "alert_key": ""}
    with writing(opened.engine) as connection:
        for kind, machine in (("new_baseline", "P-101"), ("acknowledge", "P-102")):
            said = order | {"kind": kind, "machine": machine, "created_ns": (NOW_S - 50) * 10**9}
            connection.execute(insert(t.command).values(**said))

    async def story() -> None:
        async with running(opened) as gateway:
            assert {p.machine for p in await ask(gateway.address, "P-101", "P-102")} == {"P-102"}

    play(story())


@pytest.mark.parametrize(
    ("machines", "changes", "code"),
    [
        (["../P"], {}, grpc.StatusCode.INVALID_ARGUMENT),
        ([], {}, grpc.StatusCode.INVALID_ARGUMENT),
        (["P-101"] * 65, {}, grpc.StatusCode.INVALID_ARGUMENT),
        (["P-101"], {"device": "a/b"}, grpc.StatusCode.INVALID_ARGUMENT),
        (["P-101"], {"enterprise": "acme"}, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(opened: Cloud, machines, changes, code):
    async def story() -> None:
        async with running(opened) as gateway:
            assert (await status_of(ask(gateway.address, *machines, **changes)))[0] is code

    play(story())


def test_calls_wait_for_a_place_and_a_device_has_one(opened: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recall, "WAIT_SECONDS", 0.2)
    reading, go = [], asyncio.Event()

    async def story() -> None:
        async with running(opened) as gateway:
            loop = asyncio.get_running_loop()

            def segments(self: Lake, *args: object, **named: object) -> list[object]:
                reading.append(named)
                asyncio.run_coroutine_threadsafe(go.wait(), loop).result(10)
                return []

            monkeypatch.setattr(Lake, "segments", segments)
            calls = [asyncio.create_task(ask(gateway.address, "P-101", device=f"edge-{n}")) for n in range(2)]
            async with asyncio.timeout(10):
                while len(reading) < 2:
                    await asyncio.sleep(0.01)
            code, said = await status_of(ask(gateway.address, "P-101", device="edge-0"))
            assert (code, "asks already" in said) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
            code, said = await status_of(ask(gateway.address, "P-101", device="edge-9"))
            assert (code, "too many" in said) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
            go.set()
            assert await asyncio.gather(*calls) == [[]] * 2
            assert await ask(gateway.address, "P-101", device="edge-9") == []

    play(story())


def test_a_copy_that_does_not_get_through_in_time_ends_its_call(opened: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recall, "CALL_SECONDS", 0.2)

    async def story() -> None:
        async with running(opened) as gateway:
            never = asyncio.Event()
            monkeypatch.setattr(gateway.gateway._telemetry._recalls, "_in_thread", lambda call: never.wait())
            code, said = await status_of(ask(gateway.address, "P-101"))
        assert (code, "did not get through" in said) == (grpc.StatusCode.UNAVAILABLE, True)

    play(story())


def test_a_flagged_row_of_a_year_ahead_is_stored_and_the_next_one_is_still_the_latest(
    opened: Cloud, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "LATEST_SECONDS", 0.01)
    ahead = (time.time_ns() + 365 * 86_400 * 10**9).to_bytes(8, "little")

    def latest() -> dict[float, int]:
        with opened.engine.connect() as connection:
            rows = connection.execute(t.latest.select().where(t.latest.c.metric == "rms@1"))
            return {r.value: r.event_time_ns for r in rows}

    async def story() -> None:
        device = Device("edge-1")
        async with running(opened) as gateway:
            device.make(1, event_time=ahead, quality=b"\x01")
            await device.deliver(gateway.address)
            await eventually(lambda: 10.0 in latest())
            assert latest()[10.0] <= time.time_ns()  # when it was received
            device.make(1)
            await device.deliver(gateway.address)
            await eventually(lambda: list(latest()) == [20.0])
        assert not device.rejected

    play(story())
    assert opened.lake.rows("features").num_rows == 2


def test_the_lake_lies_by_when_a_record_was_received_whatever_its_own_time(opened: Cloud):
    ahead = batch(1, 1, event_time=(2**62).to_bytes(8, "little"), quality=b"\x01")

    async def story() -> None:
        device = Device("edge-1")
        device.kept[1], device.head = ahead, 1
        async with running(opened) as gateway:
            await device.deliver(gateway.address)

    play(story())
    (segment,) = opened.lake.segments("features")
    assert f"date={time.strftime('%Y', time.gmtime())}" in segment.path
    assert segment.last_received_ns < time.time_ns()
