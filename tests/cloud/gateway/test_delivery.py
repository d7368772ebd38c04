"""From a device's batch to the lake: stored once, said only when it is so, and bounded while it waits."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import grpc
import grpc.aio
import msgspec
import numpy as np
import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from cloud.catalogue.tables import cursor, device, latest, machine, quarantine
from cloud.gateway.rules import PROTOCOL_VERSION
from cloud.wiring import Cloud
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from tests.cloud.gateway.device import Device, batch
from tests.cloud.running import QUICK, FailingStore, assert_exactly, eventually, in_lake, play, running


def test_what_a_device_sends_is_stored_once_and_then_said_to_be(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            sender.make_many(20, 16)
            await sender.deliver(gateway.address)
            assert list(sender.stored) == [(1, 320)]
            assert gateway.gateway.budget.used == 0
        assert_exactly(opened, "edge-1", 7, range(1, 321))

    play(story())


def test_a_device_that_asks_is_told_what_is_stored_and_the_digest_of_its_head(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            sender.make(3)
            last = sender.make(5)
            await sender.deliver(gateway.address)
            async with sender.connect(gateway.address) as connection:
                welcome = await connection.greet()
            assert [(r.first, r.last) for r in welcome.stored] == [(1, 8)]
            assert (welcome.head.sequence, welcome.head.digest) == (8, last.digest)

    play(story())


def test_records_sent_in_any_order_and_any_number_of_times_are_stored_once(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            sender.make_many(6, 10)
            shuffled = list(sender.kept.values())
            np.random.default_rng(3).shuffle(shuffled)
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                for _ in range(20):
                    await connection.send(*shuffled)
                await connection.until(lambda: sender.done)
                await connection.send(*shuffled)
                await connection.finish()
        assert_exactly(opened, "edge-1", 7, range(1, 61))

    play(story())


def test_a_batch_that_overlaps_what_is_stored_adds_only_the_rest(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            sender.make(10)
            await sender.deliver(gateway.address)
            sender.kept[6] = batch(6, 10)
            sender.head = 15
            await sender.deliver(gateway.address)
        assert_exactly(opened, "edge-1", 7, range(1, 16))

    play(story())


def test_good_rows_beside_bad_ones_are_stored_and_the_bad_ones_kept_with_a_reason(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            values = (np.arange(1, 9)[:, None] * 10 + np.arange(3)).astype("<f4")
            values[3, 0] = np.nan
            future = np.full(8, time.time_ns(), "<i8")
            future[6] += 3600 * 10**9
            sender.make(8, values=values.tobytes(), event_time=future.tobytes())
            sender.make(2, schema=12345)
            sender.make(1, values=b"short")
            sender.make(4)
            await sender.deliver(gateway.address)
        assert {s: pb.RejectionCode.Name(r.code)[15:] for s, r in sender.rejected.items()} == {
            4: "NOT_FINITE",
            7: "FUTURE_TIME",
            9: "UNKNOWN_SCHEMA",
            10: "UNKNOWN_SCHEMA",
            11: "WRONG_LENGTH",
        }
        assert_exactly(opened, "edge-1", 7, (1, 2, 3, 5, 6, 8, 12, 13, 14, 15))
        with opened.engine.connect() as connection:
            kept = connection.execute(select(quarantine).order_by(quarantine.c.sequence)).all()
        assert [k.sequence for k in kept] == [4, 7, 9, 10, 11]
        assert kept[0].reason.startswith("P-101 x: rms@1 is not a finite number")
        assert np.isnan(np.frombuffer(pb.Batch.FromString(kept[0].record).values, "<f4")[0])

    play(story())


def test_every_kind_of_record_finds_its_place_in_the_lake(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            counts = np.arange(6, dtype="<i2").reshape(2, 3)
            flat = {"schema": 0, "step": 0.5, "scale": 0.25}
            waveform = {"dtype": pb.DTYPE_INT16, "values": counts.tobytes(), "kind": pb.RECORD_KIND_WAVEFORM}
            sender.make(2, **flat, **waveform)
            spectrum = {"kind": pb.RECORD_KIND_SPECTRUM, "width": 2, "values": np.ones((2, 2), "<f4").tobytes()}
            sender.make(2, **flat, **spectrum)
            sender.make(2, kind=pb.RECORD_KIND_ASSESSMENT, source="bearing-1", time_base=pb.TIME_BASE_REPLAY)
            gap = pb.Gap(range=pb.SequenceRange(first=100, last=110), reason="disk full")
            sender.kept[7] = pb.Batch(first_sequence=7, count=1, kind=pb.RECORD_KIND_GAP, gaps=[gap], digest=b"x")
            sender.head = 7
            await sender.deliver(gateway.address)
        lake = opened.lake
        wave = lake.rows("waveform").to_pylist()
        assert [r["values"] for r in wave] == [[0, 1, 2], [3, 4, 5]]
        assert {(r["step"], r["scale"]) for r in wave} == {(0.5, 0.25)}
        assert [r["values"] for r in lake.rows("spectrum").to_pylist()] == [[1, 1], [1, 1]]
        assert {(r["source"], r["replay"]) for r in lake.rows("assessment").to_pylist()} == {("bearing-1", True)}
        assert [r["gaps"] for r in lake.rows("gap").to_pylist()] == ['[[100, 110, "disk full"]]']
        assert lake.ledger()[0].gaps == ((100, 110, "disk full"),)
        assert not in_lake(opened)

    play(story())


def test_a_device_that_reconnects_while_its_records_wait_neither_doubles_nor_forgets_them(opened: Cloud):
    store = FailingStore(opened.store)

    async def story() -> None:
        store.go.clear()  # the first put hangs
        async with running(opened, store=store) as gateway:
            sender = Device()
            sender.make_many(4, 8)
            async with sender.connect(gateway.address) as first:
                await first.greet()
                await first.send(*sender.kept.values())
                await first.until(lambda: len(sender.received) == 32)
            async with sender.connect(gateway.address) as second:
                assert not (await second.greet()).stored
                await second.send(*sender.kept.values())
                store.go.set()
                await second.until(lambda: sender.done)
        assert_exactly(opened, "edge-1", 7, range(1, 33))

    play(story())


def test_a_device_that_reconnects_while_its_records_are_refused_to_its_older_session_is_not_thrown_out(opened: Cloud):
    store = FailingStore(opened.store)
    refused, attached = threading.Event(), threading.Event()
    delete = store.delete

    def discard(key: str) -> None:  # the commit found a newer session and takes its object back
        refused.set()
        attached.wait(10)
        delete(key)

    store.delete = discard

    async def story() -> None:
        store.go.clear()
        async with running(opened, store=store) as gateway:
            telemetry = gateway.gateway._telemetry
            greet, sender = telemetry._greet, Device()
            sender.make_many(4, 8)
            async with sender.connect(gateway.address) as first:
                await first.greet()
                await first.send(*sender.kept.values())
                await first.until(lambda: len(sender.received) == 32)
            await eventually(lambda: not telemetry._open)

            async def late(hello):
                greeted = await greet(hello)
                store.go.set()
                await asyncio.to_thread(refused.wait, 10)
                return greeted

            telemetry._greet = late
            async with sender.connect(gateway.address) as second:
                await second.greet()
                await second.send(*sender.kept.values())
                attached.set()
                await second.until(lambda: sender.done)
        assert refused.is_set()
        assert_exactly(opened, "edge-1", 7, range(1, 33))

    play(story())


def test_while_the_store_is_away_nothing_is_said_to_be_stored_and_afterwards_all_of_it_is(opened: Cloud):
    store = FailingStore(opened.store)

    async def story() -> None:
        store.away = True
        async with running(opened, store=store) as gateway:
            sender = Device()
            sender.make_many(4, 8)
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                await connection.send(*sender.kept.values())
                await connection.until(lambda: len(sender.received) == 32)
                with pytest.raises(TimeoutError):
                    await connection.hear(within_s=0.4)
            assert not sender.stored
            store.away = False
            await sender.deliver(gateway.address)
        assert_exactly(opened, "edge-1", 7, range(1, 33))

    play(story())


def test_while_the_catalogue_is_away_nothing_is_said_to_be_stored_and_afterwards_all_of_it_is(opened: Cloud):
    away = False

    @event.listens_for(opened.engine, "begin")
    def refuse(connection) -> None:
        if away:
            raise OperationalError("BEGIN", {}, Exception("database is locked"))

    async def story() -> None:
        nonlocal away
        async with running(opened) as gateway:
            sender = Device()
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                away = True
                sender.make(8)
                await connection.send(*sender.kept.values())
                await connection.until(lambda: len(sender.received) == 8)
                async with Device("edge-2").connect(gateway.address) as other:
                    await other.say(Device("edge-2").hello())
                    assert (await other.status())[0] is grpc.StatusCode.UNAVAILABLE
                assert not sender.stored
                away = False
                await connection.until(lambda: sender.done)
        assert_exactly(opened, "edge-1", 7, range(1, 9))

    play(story())


def test_a_slow_store_bounds_the_gateways_memory_and_refuses_clearly_in_the_end(opened: Cloud):
    store = FailingStore(opened.store)
    config = msgspec.structs.replace(QUICK, pending_bytes=60_000, credit_bytes=20_000)

    async def story() -> None:
        store.go.clear()
        async with running(opened, config=config, store=store) as gateway:
            budget, telemetry = gateway.gateway.budget, gateway.gateway._telemetry
            telemetry.limits = replace(telemetry.limits, wait_seconds=0.2)
            sender = Device()
            sender.make_many(100, 100)  # 260 kB
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                await connection.send(*list(sender.kept.values())[:60])
                with pytest.raises(grpc.aio.AioRpcError):
                    await connection.until(lambda: False)
                code, reason = await connection.status()
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert len(sender.received) < 6000
                assert "memory is full" in reason
            assert 0 < budget.used <= 60_000
            store.go.set()
            await sender.deliver(gateway.address)
        assert_exactly(opened, "edge-1", 7, range(1, 10_001))

    play(story())


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"enterprise": "other"}, grpc.StatusCode.PERMISSION_DENIED, "serves the enterprise 'demo'"),
        ({"site": "../../etc"}, grpc.StatusCode.INVALID_ARGUMENT, "no name for a site"),
        ({"device": "a\0b"}, grpc.StatusCode.INVALID_ARGUMENT, "no name for a device"),
        ({"epoch": 0}, grpc.StatusCode.INVALID_ARGUMENT, "epoch 0"),
        ({"protocol_version": 9, "oldest_protocol_version": 8}, grpc.StatusCode.FAILED_PRECONDITION, "8 to 9"),
        ({"machines": [pb.Machine(name="..")]}, grpc.StatusCode.INVALID_ARGUMENT, "no name for a machine"),
    ],
)
def test_a_hello_that_is_not_for_this_gateway_is_refused_and_leaves_nothing(opened: Cloud, change, code, says):
    async def story() -> None:
        async with running(opened) as gateway, Device().connect(gateway.address) as connection:
            await connection.say(Device().hello(**change))
            said, reason = await connection.status()
            assert (said, says in reason) == (code, True), reason
        with opened.engine.connect() as sql:
            assert not sql.execute(select(cursor)).all() + sql.execute(select(device)).all()

    play(story())


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (pb.StreamRequest(schema=pb.Schema(id=1, columns=["a@1"], units=["g"])), "schema 0000000000000001"),
        (pb.StreamRequest(batches=pb.Batches(batches=[pb.Batch(first_sequence=0, count=1)])), "sequences start at 1"),
        (pb.StreamRequest(), "does not know"),
    ],
)
def test_a_message_that_makes_no_sense_ends_the_stream_and_says_why(opened: Cloud, message, says):
    async def story() -> None:
        async with running(opened) as gateway, Device().connect(gateway.address) as connection:
            await connection.greet()
            await connection.say(message)
            code, reason = await connection.status()
            assert (code, says in reason) == (grpc.StatusCode.INVALID_ARGUMENT, True), reason

    play(story())


def test_a_newer_device_that_still_speaks_our_version_is_served(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway, Device().connect(gateway.address) as connection:
            welcome = await connection.greet(protocol_version=PROTOCOL_VERSION + 1, oldest_protocol_version=1)
            assert welcome.protocol_version == PROTOCOL_VERSION

    play(story())


def test_a_message_over_the_limit_is_refused_and_the_next_one_is_taken(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            sender.make(1)
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                await connection.send(batch(1, 1, values=bytes(5_000_000)))
                assert (await connection.status())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
            await sender.deliver(gateway.address)
        assert_exactly(opened, "edge-1", 7, (1,))

    play(story())


def test_a_gateway_that_is_asked_to_end_stores_and_says_what_it_took(opened: Cloud):
    async def story() -> None:
        config = msgspec.structs.replace(QUICK, segment_seconds=600)
        async with running(opened, config=config) as gateway:
            sender = Device()
            sender.make_many(3, 8)
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                await connection.send(*sender.kept.values())
                await connection.until(lambda: len(sender.received) == 24)
                assert not sender.stored
                ending = asyncio.create_task(gateway.gateway.stop(within_s=5))
                await connection.until(lambda: sender.done)
                with pytest.raises(EOFError):
                    await connection.hear()
                await ending
        assert_exactly(opened, "edge-1", 7, range(1, 25))

    play(story())


def test_a_device_that_has_said_everything_hears_the_last_stored_before_the_stream_ends(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            sender.make(5)
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                await connection.send(*sender.kept.values())
                await connection.finish()
                assert (await connection.status())[0] is grpc.StatusCode.OK
            assert sender.done

    play(story())


def test_the_newest_values_reach_the_pages_and_an_older_one_never_replaces_them(opened: Cloud):
    def newest() -> dict[str, float]:
        with opened.engine.connect() as connection:
            return {r.metric: r.value for r in connection.execute(select(latest))}

    async def story() -> None:
        async with running(opened) as gateway:
            sender = Device()
            times = np.array([5, 9, 7], "<i8") * 10**9
            sender.make(3, event_time=times.tobytes())
            await sender.deliver(gateway.address)
            await eventually(lambda: newest() == {"rms@1": 20.0, "peak@1": 21.0, "crest@1": 22.0})
            sender.make(1, event_time=(np.array([6], "<i8") * 10**9).tobytes())
            await sender.deliver(gateway.address)
            await gateway.gateway.stop(within_s=5)
        assert newest()["rms@1"] == 20.0

    play(story())


def test_a_hello_describes_the_machines_and_the_next_one_corrects_them(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            async with Device().connect(gateway.address) as connection:
                await connection.greet()
            changed = pb.Machine(name="P-101", machine_class="pump", simulated=True, line="L2")
            async with Device(machines=[changed]).connect(gateway.address) as connection:
                await connection.greet()
        with opened.engine.connect() as sql:
            row = sql.execute(select(machine)).one()
        assert (row.machine_class, row.simulated, row.line, row.device) == ("pump", True, "L2", "edge-1")

    play(story())


def test_two_epochs_of_a_device_are_both_kept(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            for epoch in (7, 8):
                sender = Device(epoch=epoch)
                sender.make(4)
                await sender.deliver(gateway.address)
        for epoch in (7, 8):
            assert_exactly(opened, "edge-1", epoch, range(1, 5))

    play(story())
