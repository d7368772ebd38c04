"""Row 16, at the gateway: a batch in parts is stored once or not at all, and wrong parts end in one error."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b

import grpc
import grpc.aio
import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from cloud.catalogue.tables import quarantine
from cloud.gateway import parts as gateway_parts
from cloud.wiring import Cloud
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from tests.cloud.conftest import opened  # noqa: F401 - the fixture of an empty cloud
from tests.cloud.gateway.device import Connection, Device, batch, values_of
from tests.cloud.running import QUICK, Running, assert_exactly, eventually, in_lake, play, running

ROWS = 200  # of a batch: some 7 kB
PART = 1_000


def in_parts(whole: pb.Batch, size: int = PART) -> list[pb.Part]:
    """The parts of a batch, as a device cuts them."""
    packed = pb.Batch()
    packed.CopyFrom(whole)
    packed.ClearField("first_sequence")
    packed.ClearField("digest")
    return cut(packed.SerializeToString(), first=whole.first_sequence, size=size)


def cut(blob: bytes, *, first: int, size: int = PART) -> list[pb.Part]:
    digest = blake2b(blob, digest_size=16).digest()
    return [
        pb.Part(first_sequence=first, digest=digest, size=len(blob), offset=at, data=blob[at : at + size])
        for at in range(0, len(blob), size)
    ]


async def send(connection: Connection, *parts: pb.Part) -> None:
    for part in parts:
        await connection.say(pb.StreamRequest(part=part))


def waiting(gateway: Running) -> int:
    """Bytes that are kept for batches that are not whole."""
    return gateway.gateway._telemetry.parts_budget.used


def test_what_comes_in_parts_is_overtaken_and_stored_once_as_if_it_had_come_whole(opened: Cloud):  # noqa: F811
    async def story() -> None:
        sender = Device()
        large, small = sender.make(ROWS), sender.make(10)
        parts = in_parts(large)
        large.digest = parts[0].digest
        assert len(parts) > 4
        async with running(opened) as gateway, sender.connect(gateway.address) as connection:
            await connection.greet()
            await send(connection, *parts[:3])
            heard = 0
            while heard < 3 * PART:
                heard = max(heard, (await connection.hear()).ack.part_bytes)
            await connection.send(small)
            await connection.until(lambda: sender.stored.contains(ROWS + 1, ROWS + 10))
            assert not sender.received.overlap(1, ROWS), "only the whole is received"
            assert waiting(gateway) == parts[0].size
            await send(connection, *parts[3:])
            await connection.until(lambda: sender.done)
            assert waiting(gateway) == 0
            await send(connection, *parts)  # an answer was lost: once more, in parts and whole
            await connection.send(large)
            await connection.finish()
        assert_exactly(opened, "edge-1", 7, range(1, ROWS + 11))

    play(story())


def test_a_bad_record_in_parts_is_quarantined_and_the_good_ones_beside_it_are_stored(opened: Cloud):  # noqa: F811
    async def story() -> None:
        sender = Device()
        values = values_of(np.arange(1, ROWS + 1))
        values[7, 1] = float("nan")
        parts = in_parts(sender.make(ROWS, values=values.tobytes()))
        async with running(opened) as gateway, sender.connect(gateway.address) as connection:
            await connection.greet()
            await send(connection, *parts)
            await connection.until(lambda: sender.done)
        assert sorted(sender.rejected) == [8]
        assert len(in_lake(opened)) == ROWS - 1
        with opened.engine.connect() as sql:
            assert "not a finite number" in sql.execute(select(quarantine.c.reason)).scalar_one()

    play(story())


def wrong() -> Iterator[tuple[str, list[pb.Part], str]]:
    good = in_parts(batch(1, ROWS))
    other = in_parts(batch(300, ROWS))
    first = good[0]

    def changed(part: pb.Part, **fields: object) -> pb.Part:
        made = pb.Part()
        made.CopyFrom(part)
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    yield "begins in the middle", [good[1]], "begins at its byte 1000"
    yield "out of order", [first, good[2]], "a part at byte 2000 of batch 1"
    yield "a part twice", [first, first], "a part at byte 0 of batch 1"
    yield "another batch", [first, other[1]], "a part of batch 300"
    yield "other content of the number", [first, changed(good[1], digest=b"x" * 16)], "is not whole yet"
    yield "another size", [first, changed(good[1], size=first.size + 1)], "is not whole yet"
    yield "more than it said", [changed(first, data=bytes(first.size + 1))], f"a part of {first.size + 1} bytes"
    yield "too many parts", [*good, good[-1]], "begins at its byte"
    yield "never ending", [first, changed(good[1], data=b"")], "a part of 0 bytes"
    yield "larger than any", [changed(first, size=5_000_000)], "the largest has 4194304 bytes"
    yield "of no size", [changed(first, size=0)], "of 0 bytes in parts"
    yield "of no number", [changed(first, first_sequence=0)], "sequences start at 1"
    yield "parts of another", [*good[:-1], changed(good[-1], data=bytes(len(good[-1].data)))], "not the batch"
    yield "no batch at all", cut(b"\xff" * 1500, first=1), "are together no batch"


WRONG = list(wrong())


@pytest.mark.parametrize(("parts", "says"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_parts_end_the_stream_with_one_clear_error_and_leave_nothing(opened: Cloud, parts, says):  # noqa: F811
    async def story() -> None:
        async with running(opened) as gateway:
            async with Device().connect(gateway.address) as connection:
                await connection.greet()
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await send(connection, *parts)
                code, reason = await connection.status()
                assert (code, says in reason) == (grpc.StatusCode.INVALID_ARGUMENT, True), reason
            assert waiting(gateway) == 0
            right = Device()
            right.make(ROWS)
            await right.deliver(gateway.address)
        assert_exactly(opened, "edge-1", 7, range(1, ROWS + 1))

    play(story())


def test_a_batch_that_never_becomes_whole_is_given_up_in_time(opened: Cloud, monkeypatch):  # noqa: F811
    monkeypatch.setattr(gateway_parts, "WHOLE_SECONDS", 0.3)

    async def story() -> None:
        async with running(opened) as gateway, Device().connect(gateway.address) as connection:
            await connection.greet()
            await send(connection, *in_parts(batch(1, ROWS))[:2])
            with pytest.raises(grpc.aio.AioRpcError):
                await connection.until(lambda: False)
            code, reason = await connection.status()
            assert (code, "2000 bytes have come" in reason) == (grpc.StatusCode.INVALID_ARGUMENT, True), reason
            await eventually(lambda: waiting(gateway) == 0)

    play(story())


def test_batches_that_do_not_end_leave_room_for_everybody_else(opened: Cloud):  # noqa: F811
    config = msgspec.structs.replace(QUICK, pending_bytes=400_000)  # 100 kB for what is not whole
    half = cut(bytes(60_000), first=1)[:1]

    async def story() -> None:
        async with running(opened, config=config) as gateway:
            telemetry = gateway.gateway._telemetry
            telemetry.limits = replace(telemetry.limits, wait_seconds=0.2)
            async with Device("never-1").connect(gateway.address) as never:
                await never.greet()
                await send(never, *half)
                await eventually(lambda: waiting(gateway) == 60_000)
                async with Device("never-2").connect(gateway.address) as second:
                    await second.greet()
                    await send(second, *half)
                    code, reason = await second.status()
                    assert (code, "no room" in reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True), reason
                assert waiting(gateway) == 60_000
                honest = Device("honest")
                honest.make_many(20, 100)
                await honest.deliver(gateway.address)
            await eventually(lambda: waiting(gateway) == 0)
        assert_exactly(opened, "honest", 7, range(1, 2_001))

    play(story())


def test_the_parts_of_two_devices_are_never_mixed(opened: Cloud):  # noqa: F811
    async def story() -> None:
        one, two = Device("edge-1"), Device("edge-2")
        mine, other = in_parts(one.make(ROWS)), in_parts(two.make(ROWS, quality=bytes([1] * ROWS)))
        async with (
            running(opened) as gateway,
            one.connect(gateway.address) as first,
            two.connect(gateway.address) as second,
        ):
            await first.greet()
            await second.greet()
            for a, b in zip(mine, other, strict=True):
                await send(first, a)
                await send(second, b)
            await first.until(lambda: one.done)
            await second.until(lambda: two.done)
        rows = opened.lake.rows("features").to_pylist()
        assert {(r["device"], r["quality"]) for r in rows} == {("edge-1", 0), ("edge-2", 1)}
        assert_exactly(opened, "edge-1", 7, range(1, ROWS + 1))

    play(story())


def test_a_newer_session_begins_a_batch_anew_and_never_ends_an_older_ones(opened: Cloud):  # noqa: F811
    async def story() -> None:
        sender = Device()
        parts = in_parts(sender.make(ROWS))
        async with running(opened) as gateway, sender.connect(gateway.address) as older:
            await older.greet()
            await send(older, *parts[:3])
            await eventually(lambda: waiting(gateway) > 0)
            async with sender.connect(gateway.address) as newer:
                await newer.greet()
                await eventually(lambda: waiting(gateway) == 0)
                await send(newer, *parts[3:])
                code, reason = await newer.status()
                assert (code, "a new stream begins it anew" in reason) == (grpc.StatusCode.INVALID_ARGUMENT, True)
            async with sender.connect(gateway.address) as newest:
                await newest.greet()
                await send(newest, *parts)
                await newest.until(lambda: sender.done)
        assert_exactly(opened, "edge-1", 7, range(1, ROWS + 1))

    play(story())
