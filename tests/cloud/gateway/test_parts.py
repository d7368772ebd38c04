"""The gateway's small parts: the memory budget, and what is known of a stream on its way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from cloud.catalogue.ingest import CursorKey, DeviceFacts, Greeting
from cloud.gateway import blocks, wire
from cloud.gateway.budget import Budget
from cloud.gateway.greeter import Greeter
from cloud.gateway.intake import Intake, Intakes, Outgoing
from cloud.gateway.metrics import Metrics
from cloud.gateway.records import Schema, Share, Stream
from cloud.gateway.segments import encode, group
from cloud.gateway.statuses import Overloaded, Refused, Replaced, VersionMismatch, status_of
from cloud.gateway.writer import Closing, Writer
from cloud.ranges import Ranges
from cloud.wiring import Cloud
from models.errors import BundleRejected, ConfigurationError, Unavailable, WrongUse
from tests.cloud.gateway.device import COLUMNS, SCHEMA, batch
from tests.cloud.running import play

STREAM = Stream("hall", "edge-1", 7)


def test_a_budget_lets_in_what_fits_and_the_others_in_the_order_they_came():
    async def story() -> None:
        budget = Budget(100)
        await budget.take(60, within_s=1)
        order: list[int] = []

        async def take(size: int) -> None:
            await budget.take(size, within_s=5)
            order.append(size)

        waiting = [asyncio.create_task(take(size)) for size in (50, 30)]
        await asyncio.sleep(0)
        assert (order, budget.used) == ([], 60)
        budget.give(60)
        await asyncio.gather(*waiting)
        assert (order, budget.used) == ([50, 30], 80)

    play(story())


def test_whoever_may_go_first_has_the_kept_bytes_and_passes_the_line():
    async def story() -> None:
        budget = Budget(100, kept=25)
        await budget.take(70, within_s=1)
        order: list[str] = []

        async def take(name: str, size: int, first: bool) -> None:
            await budget.take(size, within_s=5, first=first)
            order.append(name)

        waiting = [asyncio.create_task(take(f"flood {n}", 40, first=False)) for n in range(2)]
        await asyncio.sleep(0)
        await budget.take(20, within_s=1, first=True)
        assert budget.used == 90
        waiting += [asyncio.create_task(take(f"honest {n}", 20, first=True)) for n in range(2)]
        await asyncio.sleep(0)
        budget.give(30)
        await asyncio.wait_for(asyncio.gather(*waiting[2:]), 5)
        assert order == ["honest 0", "honest 1"]
        for size in (60, 40):
            budget.give(size)
        await asyncio.wait_for(waiting[0], 5)
        budget.give(40)
        await asyncio.wait_for(waiting[1], 5)
        assert order[2:] == ["flood 0", "flood 1"]

    play(story())


def test_of_whom_little_waits_goes_with_the_next_load_and_not_behind_a_flood():
    async def story() -> None:
        intakes = Intakes(credit_bytes=500)
        writer = Writer(
            enterprise="demo",
            engine=None,  # type: ignore[arg-type]  # nothing is stored here
            store=None,  # type: ignore[arg-type]
            intakes=intakes,
            budget=Budget(1 << 20),
            closing=Closing(seconds=60, bytes=1000),
            metrics=Metrics(),
        )
        flood, honest = (intakes.attach(Stream("hall", name, 7), Outgoing(), 1) for name in ("flood", "honest"))
        await flood.budget.take(2_500, within_s=1)
        for n in range(5):
            writer.add(wire.read_batch(batch(1 + n, 1), {}, 1), [(1 + n, 1 + n)], flood, 500)
        await honest.budget.take(100, within_s=1)
        writer.add(wire.read_batch(batch(1, 1), {}, 1), [(1, 1)], honest, 100)
        assert [load.bytes for load in writer._loads] == [1_100, 1_000, 500]
        assert honest in writer._loads[0].shares
        writer.close()

    play(story())


def test_whoever_gives_up_waiting_leaves_no_trace_and_lets_the_next_one_in():
    async def story() -> None:
        budget = Budget(100)
        await budget.take(60, within_s=1)
        large = asyncio.create_task(budget.take(90, within_s=0.05))
        await asyncio.sleep(0)
        small = asyncio.create_task(budget.take(40, within_s=5))
        with pytest.raises(TimeoutError):
            await large
        await small
        assert budget.used == 100
        budget.give(100)
        assert budget.used == 0

    play(story())


def test_what_is_larger_than_the_whole_budget_is_let_in_alone():
    async def story() -> None:
        budget = Budget(100)
        await budget.take(500, within_s=1)
        with pytest.raises(TimeoutError):
            await budget.take(1, within_s=0.01)
        budget.give(500)
        await budget.take(1, within_s=1)

    play(story())


@contextmanager
def attached(intakes: Intakes, session: int = 1) -> Iterator[tuple[Outgoing, Intake]]:
    outgoing = Outgoing()
    intake = intakes.attach(STREAM, outgoing, session)
    yield outgoing, intake
    intakes.detach(intake, outgoing)


def test_a_sequence_is_new_once_until_it_is_stored_and_known_afterwards():
    intakes = Intakes()
    with attached(intakes) as (first, intake):
        assert [list(r) for r in intake.take(1, 10)] == [[(1, 10)], []]
        assert [list(r) for r in intake.take(5, 15)] == [[(11, 15)], []]
        assert list(first.take()[1]) == []
    with attached(intakes, 2) as (second, same):
        assert (same is intake, same.session) == (True, 2)
        intakes.commit(STREAM, Ranges([(1, 12)]), [])
        assert [list(r) for r in intake.take(1, 20)] == [[(16, 20)], [(1, 12)]]
        assert list(second.take()[1]) == [(1, 12)]


def test_a_newer_session_fences_one_that_is_open_and_starts_without_what_it_sent():
    dropped: list[Intake] = []
    intakes = Intakes(dropped=dropped.append)
    with attached(intakes, 5) as (older, intake):
        intake.take(1, 10, b"digest")
        with attached(intakes, 6) as (newer, other):
            assert (older.fenced, newer.fenced, dropped) == (True, False, [intake])
            assert [list(r) for r in other.take(1, 10)] == [[(1, 10)], []]
            with pytest.raises(Replaced, match="newer session"), attached(intakes, 5):
                pass
        assert list(intake.pending) == [(1, 10)]


def test_the_same_number_with_other_content_is_refused_while_the_first_is_on_its_way():
    intakes = Intakes()
    with attached(intakes) as (_, intake):
        intake.take(1, 10, b"one")
        assert not intake.take(1, 10, b"one")[0]
        with pytest.raises(Replaced, match="other content"):
            intake.take(1, 10, b"two")
        intakes.commit(STREAM, Ranges([(1, 10)]), [])
        assert list(intake.take(1, 10, b"two")[1]) == [(1, 10)]


def test_a_stream_is_remembered_while_something_of_it_is_on_its_way_and_then_forgotten():
    intakes = Intakes()
    with attached(intakes) as (_, intake):
        intake.take(1, 3)
    assert len(intakes) == 1
    intakes.commit(STREAM, Ranges([(1, 3)]), [])
    assert len(intakes) == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused("x"), grpc.StatusCode.PERMISSION_DENIED),
        (VersionMismatch("x"), grpc.StatusCode.FAILED_PRECONDITION),
        (WrongUse("x"), grpc.StatusCode.INVALID_ARGUMENT),
        (ConfigurationError("x"), grpc.StatusCode.INVALID_ARGUMENT),
        (Replaced("x"), grpc.StatusCode.ABORTED),
        (Overloaded("x"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Unavailable("x"), grpc.StatusCode.UNAVAILABLE),
        (BundleRejected("x"), grpc.StatusCode.INTERNAL),
    ],
)
def test_each_error_has_the_status_by_which_a_device_knows_whether_to_try_again(error, status):
    assert status_of(error) is status


def test_hellos_that_come_together_share_a_transaction_and_a_refused_one_harms_no_other(opened: Cloud):
    transactions: list[int] = []

    async def in_thread(call: Callable[[], Any]) -> Any:
        transactions.append(1)
        return await asyncio.to_thread(call)

    async def story() -> None:
        greeter = Greeter(opened.engine, in_thread, time.time_ns)

        def hello(n: int, version: str = "1") -> Coroutine[Any, Any, Greeting]:
            facts = DeviceFacts(head=0, software_version=version, machines=())
            return greeter.greet(CursorKey("demo", "hall", f"edge-{n}", 7), facts)

        greeted = await asyncio.gather(*(hello(n) for n in range(20)))
        assert all(g.session > 0 and not g.stored for g in greeted)
        assert len(transactions) <= 2
        bad: Any = object()  # no database takes this as text
        answers = await asyncio.gather(*(hello(n, bad if n == 2 else "2") for n in range(5)), return_exceptions=True)
        assert [isinstance(a, Greeting) for a in answers] == [True, True, False, True, True]

    play(story())


def test_no_batch_however_odd_stops_the_writer():
    """What is not refused by its columns is judged row by row; nothing raises, or every gateway would die of it."""
    draw = np.random.default_rng(4)
    columns = {"point": 2, "event_time": 8, "quality": 1, "values": 12}
    for _ in range(300):
        made = batch(1, int(draw.integers(1, 5)))
        for name, width in columns.items():
            if draw.random() < 0.3:
                setattr(made, name, draw.bytes(int(draw.integers(0, 5)) * width))
        made.kind, made.dtype = int(draw.integers(0, 10)), int(draw.integers(0, 3))
        made.width, made.schema = int(draw.choice([0, 3, 6])), int(draw.choice([0, SCHEMA.id, 9]))
        del made.points[: int(draw.integers(0, 2))]
        known = {SCHEMA.id: Schema(SCHEMA.id, COLUMNS, ("g", "g", "1"))}
        read = wire.read_batch(made, known, time.time_ns())
        share = Share()
        share.add(read, [(read.first, read.last)], read.bytes)
        pieces, rejected = blocks.judged(STREAM, share)
        assert sum(len(p.rows) for p in pieces) + len(rejected) == made.count
        for key, some in group(pieces).items():
            assert encode(key, some).rows == sum(len(p.rows) for p in some)


def test_batches_of_one_shape_become_one_block_and_only_new_rows_count():
    known = {SCHEMA.id: Schema(SCHEMA.id, COLUMNS, ("g", "g", "1"))}
    share = Share()
    for first, new in ((11, [(11, 20)]), (1, [(1, 10)]), (15, [(21, 24)])):
        read = wire.read_batch(batch(first, 10), known, time.time_ns() + first)
        share.add(read, new, read.bytes)
    ((piece,), rejected) = blocks.judged(STREAM, share)
    assert rejected == []
    sequences = [*range(11, 21), *range(1, 11), *range(21, 25)]
    assert piece.of(piece.block.sequence).tolist() == sequences
    assert piece.of(piece.block.values)[:, 0].tolist() == [10.0 * s for s in sequences]
    assert len(set(piece.of(piece.block.received_ns).tolist())) == 3
    (kept,) = blocks.without([piece], {STREAM: Ranges([(1, 10), (22, 30)])})
    assert kept.of(kept.block.sequence).tolist() == [*range(11, 21), 21]
    assert (list(share.sequences), share.head.sequence) == ([(1, 24)], 24)
