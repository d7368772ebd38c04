"""A gateway in memory that speaks the real interface, counts what it stores, and can be told to fail.

It keeps the promises of the protocol (a record's number is stored once, `stored` only after that) unless a fault says
otherwise. It runs an event loop in a thread of its own, so that tests of processes and of coroutines can use it alike.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import grpc.aio

from protos.forewarn.alert.v1 import alert_pb2 as alert_wire
from protos.forewarn.alert.v1.alert_pb2_grpc import AlertServiceServicer, add_AlertServiceServicer_to_server
from protos.forewarn.rollout.v1 import rollout_pb2 as rollout_wire
from protos.forewarn.rollout.v1.rollout_pb2_grpc import RolloutServiceServicer, add_RolloutServiceServicer_to_server
from protos.forewarn.telemetry.v1 import telemetry_pb2 as wire
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import (
    TelemetryServiceServicer,
    add_TelemetryServiceServicer_to_server,
)

T = TypeVar("T")
Stream = tuple[str, int]  # device, epoch


@dataclass
class Faults:
    """What goes wrong; changed by tests while the gateway runs."""

    refuse_hello: grpc.StatusCode | None = None
    silent_welcome: bool = False
    break_before_store: int = 0  # this many messages of batches end their stream unstored
    break_after_store: int = 0  # this many are stored, and their stream ends before any answer
    never_store: bool = False  # `received`, and no more
    refuse_alerts: grpc.StatusCode | None = None
    alerts_together: int = 1  # an alert is answered when so many wait for their answer
    seconds_per_byte: float = 0.0  # a slow link: how long each byte of a message takes
    answer_delay_s: float = 0.0


@dataclass
class Shelf:
    """What is stored of one device and epoch."""

    rows: Counter[int] = field(default_factory=Counter)  # sequence: how often a row was written
    kinds: dict[int, str] = field(default_factory=dict)
    sources: dict[int, str] = field(default_factory=dict)
    machines: dict[int, set[str]] = field(default_factory=dict)
    alerts: dict[int, alert_wire.Alert] = field(default_factory=dict)
    gaps: list[tuple[int, int, str]] = field(default_factory=list)
    head: int = 0
    digest: bytes = b""

    @property
    def sequences(self) -> set[int]:
        return set(self.rows) | set(self.alerts)


class GatewaySimulator(TelemetryServiceServicer, AlertServiceServicer, RolloutServiceServicer):
    """Start it, let devices talk, look at `shelves`."""

    def __init__(self, *, credit_bytes: int = 1_000_000, largest_message_bytes: int = 4 << 20) -> None:
        self.faults = Faults()
        self.shelves: dict[Stream, Shelf] = defaultdict(Shelf)
        self.hellos: list[wire.Hello] = []
        self.order: list[tuple[float, str, int]] = []  # (when, `batch` or `alert`, first sequence), as they arrived
        self.unknown_schemas: set[int] = set()
        self.wrong_digests = 0
        self.protocol_version = 3  # that it speaks
        self.parts = 0  # that have come
        self.alerts_waiting = 0  # calls that have come; set back by tests
        self.welcomed: Callable[[], None] = lambda: None  # called after each Welcome
        self.more = b""  # fields that only a newer version knows, in each answer
        self.credit_bytes, self.largest_message_bytes = credit_bytes, largest_message_bytes
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: grpc.aio.Server | None = None

    # --- lifecycle ------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; after a `stop` on the same port again, with everything that was stored."""
        self._in_loop(self._start())

    def stop(self) -> None:
        """End all connections at once."""
        if self._server is not None:
            self._in_loop(self._server.stop(grace=None))
            self._server = None

    def close(self) -> None:
        self.stop()
        self._in_loop(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_TelemetryServiceServicer_to_server(self, self._server)
        add_AlertServiceServicer_to_server(self, self._server)
        add_RolloutServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    # --- what tests ask -------------------------------------------------------------------------------------------

    def wait_until(self, done: Callable[[], bool], *, within_s: float = 20.0) -> None:
        """Poll `done`; on the deadline, fail with what is here."""
        deadline = time.monotonic() + within_s
        while not done():
            if time.monotonic() > deadline:
                stored = {stream: len(shelf.sequences) for stream, shelf in self.shelves.items()}
                raise AssertionError(f"not within {within_s:g} s; stored so far: {stored}")
            time.sleep(0.005)

    @property
    def stored(self) -> set[tuple[int, int]]:
        """(epoch, sequence) of everything stored, of all devices."""
        return {(epoch, s) for (_, epoch), shelf in self.shelves.items() for s in shelf.sequences}

    @property
    def stored_twice(self) -> int:
        return sum(n - 1 for shelf in self.shelves.values() for n in shelf.rows.values())

    # --- telemetry ------------------------------------------------------------------------------------------------

    async def Stream(self, request_iterator: AsyncIterator[wire.StreamRequest], context: Any) -> None:
        hello = (await anext(request_iterator)).hello
        self.hellos.append(hello)
        if self.faults.refuse_hello is not None:
            await context.abort(self.faults.refuse_hello, "refused by the test")
        if self.faults.silent_welcome:
            await asyncio.Event().wait()
        shelf = self.shelves[hello.device, hello.epoch]
        await context.write(wire.StreamResponse(welcome=self._welcome(shelf)))
        self.welcomed()
        schemas: set[int] = set()
        whole, part_bytes = bytearray(), 0
        async for request in request_iterator:
            if request.WhichOneof("message") == "schema":
                schemas.add(request.schema.id)
                continue
            await asyncio.sleep(self.faults.seconds_per_byte * request.ByteSize())
            batches = request.batches
            if request.WhichOneof("message") == "part":
                assert self.protocol_version > 2, "an older gateway knows no parts"
                part = request.part
                assert part.offset == len(whole)
                whole += part.data
                part_bytes += len(part.data)
                self.parts += 1
                self.order.append((time.monotonic(), "part", part.first_sequence))
                await context.write(wire.StreamResponse(ack=wire.Ack(part_bytes=part_bytes)))
                if len(whole) < part.size:
                    continue
                batch = wire.Batch.FromString(bytes(whole))
                batch.first_sequence, batch.digest = part.first_sequence, part.digest
                batches, whole = wire.Batches(batches=[batch]), bytearray()
            ranges = await self._take(shelf, batches, schemas, context)
            await asyncio.sleep(self.faults.answer_delay_s)
            stored = [] if self.faults.never_store else ranges
            ack = wire.Ack(received=ranges, stored=stored)
            ack.MergeFromString(self.more)
            await context.write(wire.StreamResponse(ack=ack))

    def _welcome(self, shelf: Shelf) -> wire.Welcome:
        head = wire.Mark(sequence=shelf.head, digest=shelf.digest) if shelf.head else None
        welcome = wire.Welcome(
            protocol_version=self.protocol_version,
            session=len(self.hellos) if self.protocol_version > 1 else 0,
            stored=[wire.SequenceRange(first=s, last=s) for s in sorted(shelf.sequences)],
            head=head,
            credit_bytes=self.credit_bytes,
            largest_message_bytes=self.largest_message_bytes,
        )
        welcome.MergeFromString(self.more)
        return welcome

    async def _take(self, shelf: Shelf, batches: wire.Batches, schemas: set[int], context: Any) -> list[Any]:
        if self.faults.break_before_store:
            self.faults.break_before_store -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "broken by the test before the store")
        ranges = []
        for batch in batches.batches:
            self.order.append((time.monotonic(), "batch", batch.first_sequence))
            if batch.schema and batch.schema not in schemas:
                self.unknown_schemas.add(batch.schema)
            if not self.faults.never_store:
                self._store(shelf, batch)
            last = batch.first_sequence + batch.count - 1
            ranges.append(wire.SequenceRange(first=batch.first_sequence, last=last))
        if self.faults.break_after_store:
            self.faults.break_after_store -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "broken by the test after the store")
        return ranges

    def _store(self, shelf: Shelf, batch: wire.Batch) -> None:
        first, last = batch.first_sequence, batch.first_sequence + batch.count - 1
        for sequence in range(first, last + 1):
            if sequence not in shelf.rows:  # a promise of the real one
                shelf.rows[sequence] += 1
                shelf.kinds[sequence] = wire.RecordKind.Name(batch.kind)
                shelf.sources[sequence] = batch.source
                shelf.machines[sequence] = {p.machine for p in batch.points}
        for gap in batch.gaps:
            shelf.gaps.append((gap.range.first, gap.range.last, gap.reason))
        if last > shelf.head:
            shelf.head, shelf.digest = last, batch.digest

    # --- alerts and models ----------------------------------------------------------------------------------------

    async def Raise(self, request: alert_wire.RaiseRequest, context: Any) -> alert_wire.RaiseResponse:
        if self.faults.refuse_alerts is not None:
            await context.abort(self.faults.refuse_alerts, "refused by the test")
        self.order.append((time.monotonic(), "alert", request.sequence))
        self.alerts_waiting += 1
        while self.alerts_waiting < self.faults.alerts_together:
            await asyncio.sleep(0.005)
        self.shelves[request.device, request.epoch].alerts.setdefault(request.sequence, request.alert)
        return alert_wire.RaiseResponse(alert_id=request.sequence)

    async def Watch(
        self, request: rollout_wire.WatchRequest, context: Any
    ) -> AsyncIterator[rollout_wire.WatchResponse]:
        await asyncio.Event().wait()
        yield rollout_wire.WatchResponse()

    async def Report(self, request: rollout_wire.ReportRequest, context: Any) -> rollout_wire.ReportResponse:
        return rollout_wire.ReportResponse()


async def _cancel_all() -> None:
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
