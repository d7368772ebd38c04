"""Row 11 and 15: two holders of one identity are never mixed; the newest Hello wins, and somebody is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
import grpc.aio
import msgspec
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from cloud.catalogue.access import reading
from cloud.catalogue.tables import device
from cloud.wiring import Cloud
from tests.cloud.gateway.device import Connection, Device, batch
from tests.cloud.running import QUICK, FailingStore, assert_exactly, eventually, in_lake, play, running


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, QUICK)
    yield cloud
    cloud.close()


async def ended(connection: Connection) -> tuple[grpc.StatusCode, str]:
    """How the gateway ended a stream."""
    async with asyncio.timeout(10):
        with contextlib.suppress(grpc.aio.AioRpcError, EOFError):
            while True:
                await connection.hear()
        return await connection.status()


@pytest.mark.parametrize("older", ["goes on", "has said everything"])
def test_the_newest_hello_wins_and_the_older_stream_is_ended_with_a_clear_status(opened: Cloud, older: str):
    store = FailingStore(opened.store)
    store.go.clear()

    async def story() -> None:
        original, clone = Device(), Device()
        async with running(opened, store=store) as gateway:
            async with original.connect(gateway.address) as a, clone.connect(gateway.address) as b:
                await a.greet()
                await a.send(original.make(5))
                await a.until(lambda: original.received.contains(1, 5))
                if older == "has said everything":
                    await a._call.done_writing()
                    await asyncio.sleep(0.05)  # either order is right; this one makes the gateway wait for its store
                await b.greet()
                code, reason = await ended(a)
                assert (code, "newer session" in reason) == (grpc.StatusCode.ABORTED, True)
                await b.send(clone.make(5), clone.make(5))
                store.go.set()
                await b.until(lambda: clone.done)
            assert not original.stored
        assert_exactly(opened, "edge-1", 7, range(1, 11))

    play(story())


@pytest.mark.parametrize("noticed", ["at the commit", "while idle"])
def test_a_session_at_another_gateway_is_fenced_and_stores_nothing_more(opened: Cloud, noticed: str):
    async def story() -> None:
        original, clone = Device(), Device()
        async with running(opened) as one, running(opened) as two:  # noqa: SIM117 - two gateways, then two devices
            async with original.connect(one.address) as a, clone.connect(two.address) as b:
                await a.greet()
                await b.greet()
                if noticed == "at the commit":
                    await a.send(original.make(5))
                code, _ = await ended(a)
                assert code is grpc.StatusCode.ABORTED
                assert not original.stored
                assert not in_lake(opened)
                await b.send(clone.make(3))
                await b.until(lambda: clone.done)
        assert_exactly(opened, "edge-1", 7, range(1, 4))
        assert set(opened.store.list("lake/")) == {s.path for s in opened.lake.segments()}

    play(story())


@contextmanager
def cloned_in(opened: Cloud) -> Iterator[list[int | None]]:
    with reading(opened.engine) as connection:
        yield list(connection.scalars(select(device.c.cloned_ns)))


def test_a_device_whose_link_flaps_is_fenced_and_never_told_as_cloned(opened: Cloud):
    """As of a radio link: the gateway holds a stream that its device has given up, again and again."""

    async def story() -> None:
        flapping, left = Device(), []
        async with running(opened) as gateway:
            for _ in range(8):
                connection = flapping.connect(gateway.address)
                await connection.greet()
                left.append(connection)
                await connection.send(flapping.make(2))
                await connection.until(lambda: flapping.done)
            await eventually(lambda: gateway.gateway.metrics.fenced._value.get() == 7)
            for connection in left:
                await connection.__aexit__()

    with capture_logs() as logs:
        play(story())
    with cloned_in(opened) as told:
        assert told == [None]
    assert [e for e in logs if e["event"] == "cloned device"] == []


def test_a_device_that_flaps_between_two_holders_is_told_as_cloned(opened: Cloud):
    def cloned() -> AbstractContextManager[list[int | None]]:
        return cloned_in(opened)

    async def story() -> None:
        holders = [Device(epoch=7), Device(epoch=8)]  # copies of a store part their epochs as soon as both measure
        open_now: list[Connection] = []
        async with running(opened) as gateway:
            for turn in range(4):
                with cloned() as told:
                    assert not any(told)
                connection = holders[turn % 2].connect(gateway.address)
                await connection.greet()
                if open_now:
                    await ended(open_now[-1])
                open_now.append(connection)

            def said() -> bool:
                with cloned() as told:
                    return any(told)

            await eventually(said)
            for connection in open_now:
                await connection.__aexit__()

    with capture_logs() as logs:
        play(story())
    assert [e["device"] for e in logs if e["event"] == "cloned device"] == ["edge-1"]


def test_one_device_with_too_much_on_the_way_waits_alone(opened: Cloud):
    store = FailingStore(opened.store)
    store.go.clear()
    config = msgspec.structs.replace(QUICK, device_bytes=30_000)

    async def story() -> None:
        async with running(opened, store=store, config=config) as gateway:
            greedy, modest = Device("greedy"), Device("modest")
            greedy.make_many(30, 100)
            async with greedy.connect(gateway.address) as a, modest.connect(gateway.address) as b:
                await a.greet()
                await b.greet()
                await a.send(*greedy.kept.values())
                await a.until(lambda: len(greedy.received) >= 500)
                await b.send(modest.make(5))
                await b.until(lambda: modest.received.contains(1, 5))
                assert len(greedy.received) < 1500
                assert gateway.gateway.budget.used < 40_000
                store.go.set()
                await a.until(lambda: greedy.done)
            assert gateway.gateway.budget.used == 0
        assert len(in_lake(opened)) == 3005

    play(story())


def test_other_content_under_a_number_that_is_on_its_way_is_never_taken_for_a_resend(opened: Cloud):
    """The first holder has gone; what it sent waits for its segment when the second one comes."""
    store = FailingStore(opened.store)
    store.go.clear()

    async def story() -> None:
        original, clone = Device(), Device()
        async with running(opened, store=store) as gateway:
            async with original.connect(gateway.address) as a:
                await a.greet()
                await a.send(original.make(5))
                await a.until(lambda: original.received.contains(1, 5))
            sessions = gateway.gateway._intakes
            await eventually(lambda: not any(i.sessions for i in sessions._by_stream.values()))
            async with clone.connect(gateway.address) as b:
                await b.greet()
                await b.send(batch(1, 5, source="another"))
                code, reason = await ended(b)
                assert (code, "other content" in reason) == (grpc.StatusCode.ABORTED, True)
            store.go.set()
            await eventually(lambda: len(in_lake(opened)) == 5)
        assert {r["source"] for r in opened.lake.rows("features").to_pylist()} == {""}

    play(story())
