"""Exactly once, whatever moment a gateway dies in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from cloud.gateway import writer
from cloud.gateway.intake import Intakes
from cloud.lake.gc import collect
from cloud.wiring import Cloud, open_cloud
from models.errors import Unavailable
from tests.cloud.gateway.device import Device
from tests.cloud.gateway.served import served
from tests.cloud.running import FailingStore, assert_exactly, eventually, play, running

KILLS = 4
RECORDS = 10_000  # of each device


class Crash(BaseException):
    """The process ends here."""


def crash() -> None:
    raise Crash


async def until_it_dies(opened: Cloud, store: FailingStore, sender: Device) -> None:
    """Send until the gateway's writer has crashed; the device hears nothing more of it."""
    async with running(opened, store=store) as gateway, sender.connect(gateway.address) as connection:
        await connection.greet()
        await connection.send(*sender.kept.values())
        with pytest.raises(Crash):
            await asyncio.wait_for(gateway.gateway.failed(), 10)
        with suppress(TimeoutError):
            while True:
                await connection.hear(within_s=0.1)


@pytest.mark.parametrize("moment", ["before_put", "after_put"])
def test_a_gateway_that_dies_around_the_put_has_stored_nothing_and_the_next_one_stores_it_once(opened: Cloud, moment):
    async def story() -> None:
        store = FailingStore(opened.store)
        setattr(store, moment, crash)
        sender = Device()
        sender.make_many(3, 10)
        await until_it_dies(opened, store, sender)
        assert not sender.stored
        assert opened.lake.rows("features").num_rows == 0
        async with running(opened) as gateway:
            await sender.deliver(gateway.address)
        assert_exactly(opened, "edge-1", 7, range(1, 31))
        if moment == "after_put":
            assert len(list(opened.store.list("lake/"))) == 2
            hours = 2 * 3600 * 10**9
            later = collect(opened.engine, opened.store, "demo", older_than_ns=hours, now_ns=lambda: _now() + hours)
            assert (later.orphans, later.replaced) == (1, 0)
            assert_exactly(opened, "edge-1", 7, range(1, 31))

    play(story())


def _now() -> int:
    import time

    return time.time_ns()


def test_a_gateway_that_dies_after_the_commit_and_before_the_ack_leads_to_no_double(opened: Cloud, monkeypatch):
    async def story() -> None:
        sender = Device()
        sender.make_many(3, 10)
        with monkeypatch.context() as patch:
            patch.setattr(Intakes, "commit", lambda *what: crash())
            await until_it_dies(opened, FailingStore(opened.store), sender)
        assert not sender.stored
        assert_exactly(opened, "edge-1", 7, range(1, 31))
        async with running(opened) as gateway, sender.connect(gateway.address) as connection:
            await connection.greet()
            assert sender.done
        assert_exactly(opened, "edge-1", 7, range(1, 31))

    play(story())


def test_a_commit_whose_answer_was_lost_is_not_made_twice(opened: Cloud, monkeypatch):
    real = writer.writing
    lost = []

    @contextmanager
    def forgetful(engine: Any) -> Iterator[Any]:
        with real(engine) as connection:
            yield connection
        if not lost:
            lost.append(1)
            raise Unavailable("the connection broke while it committed")

    async def story() -> None:
        monkeypatch.setattr(writer, "writing", forgetful)
        sender = Device()
        sender.make_many(2, 10)
        sender.make(2, values=b"bad")
        async with running(opened) as gateway:
            await sender.deliver(gateway.address)
        assert lost
        assert_exactly(opened, "edge-1", 7, range(1, 21))
        assert len(list(opened.store.list("lake/"))) == 1

    play(story())


def test_two_gateways_that_take_the_same_records_at_once_store_each_once(opened: Cloud):
    async def story() -> None:
        first, second = FailingStore(opened.store), FailingStore(opened.store)
        first.go.clear()
        second.go.clear()
        sender = Device()
        sender.make_many(4, 10)
        async with running(opened, store=first) as one, running(opened, store=second) as two:
            async with sender.connect(one.address) as a, sender.connect(two.address) as b:
                batches = list(sender.kept.values())
                await a.greet()
                await a.send(*batches[:3])
                await a.until(lambda: sender.received.contains(1, 30))
                await b.greet()
                await b.send(*batches[1:])
                await b.until(lambda: sender.received.contains(1, 40))
                first.go.set()
                second.go.set()
                await b.finish()
                with pytest.raises(grpc.aio.AioRpcError, match="newer session"):  # the newest Hello won
                    await a.finish()
            assert list(sender.stored) == [(11, 40)]
            await sender.deliver(two.address)
        assert_exactly(opened, "edge-1", 7, range(1, 41))
        live = {s.path for s in opened.lake.segments()}
        assert set(opened.store.list("lake/")) == live

    play(story())


# --- real processes ---------------------------------------------------------------------------------------------------


def test_a_gateway_killed_again_and_again_in_mid_stream_loses_nothing_and_doubles_nothing(tmp_path: Path):
    (tmp_path / "cloud.toml").write_text("segment_seconds = 0.05\ncompact_seconds = 0.2\n")

    async def story() -> None:
        with served(tmp_path) as start:
            gateway = await asyncio.to_thread(start)
            senders = [Device(f"edge-{n}") for n in range(3)]

            work = [asyncio.create_task(s.measure(gateway.address, until_head=RECORDS)) for s in senders]
            for kill in range(1, KILLS + 1):
                await eventually(lambda at=kill: sum(len(s.stored) for s in senders) > at * RECORDS / 2, within_s=20)
                await asyncio.to_thread(gateway.kill)
                gateway = await asyncio.to_thread(start, gateway.address)
            await asyncio.gather(*work)
            assert gateway.end() == 0
        cloud = open_cloud(tmp_path)
        for sender in senders:
            assert_exactly(cloud, sender.name, 7, range(1, sender.head + 1))

    play(story(), within_s=90)
