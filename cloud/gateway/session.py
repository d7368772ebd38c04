"""One device's stream: Hello and Welcome, then batches up and acknowledgements down.

The reader takes a message, puts together what comes in parts, waits for its bytes to fit into the gateway's memory (so
a slow store is felt as credit that does not come back), and hands the new records to the writer. The acknowledger sends
what has piled up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc.aio
import structlog

from cloud.gateway import rules, wire
from cloud.gateway.budget import Budget
from cloud.gateway.intake import Intake, Intakes, Outgoing
from cloud.gateway.metrics import Metrics
from cloud.gateway.parts import Part, Parts
from cloud.gateway.recall import Context as RecallContext
from cloud.gateway.recall import Recalls
from cloud.gateway.records import Mark, Schema, Stream
from cloud.gateway.statuses import Overloaded, Replaced, abort
from cloud.gateway.tls import Callers
from cloud.gateway.writer import Writer
from cloud.ranges import Ranges
from models.errors import ForewarnError, Unavailable, WrongUse
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc

log: structlog.stdlib.BoundLogger = structlog.get_logger()
HELLO_SECONDS = 10.0
COALESCE_SECONDS = 0.05  # acknowledgements that come within it travel together
FINISH_SECONDS = 60.0  # how long a device that has said everything may wait for its last `stored`
LAST_ACK_SECONDS = 5.0
_SCHEMAS = 256  # in one stream
_PARTS_SHARE = (
    4  # batches that are not whole may take a quarter as much memory as what waits for its segment, beside it
)
_OVERHEAD = 512  # bytes that a batch costs in memory beside its columns

Context = grpc.aio.ServicerContext[pb.StreamRequest, pb.StreamResponse]


@dataclass(frozen=True, slots=True)
class Greeted:
    """What the catalogue knows of the device's epoch."""

    stored: Ranges  # by the stream
    alerts: Ranges  # taken by the alert call
    head: Mark | None
    session: int  # this Hello's number


Greeter = Callable[[wire.Hello], Awaitable[Greeted]]  # may raise `Unavailable`
NoteFenced = Callable[[Stream], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one device and one gateway may have on the way."""

    credit_bytes: int
    largest_message_bytes: int
    wait_seconds: float = 30.0  # for room in memory, before RESOURCE_EXHAUSTED


class Telemetry(telemetry_pb2_grpc.TelemetryServiceServicer):
    """The telemetry service."""

    def __init__(
        self,
        *,
        enterprise: str,
        callers: Callers,
        greet: Greeter,
        note_fenced: NoteFenced,
        recalls: Recalls,
        intakes: Intakes,
        writer: Writer,
        budget: Budget,
        limits: Limits,
        metrics: Metrics,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._enterprise = enterprise
        self._callers = callers
        self._greet = greet
        self._note_fenced = note_fenced
        self._recalls = recalls
        self._intakes = intakes
        self.writer = writer
        self.budget = budget
        self.parts_budget = Budget(budget.limit // _PARTS_SHARE)
        self.limits = limits
        self.metrics = metrics
        self.now_ns = now_ns
        self._open: set[Outgoing] = set()
        self._draining = False
        self._flushed = asyncio.Event()

    def drain(self) -> None:
        """Stop reading from every stream; sessions end after `flushed` and their last acknowledgement."""
        self._draining = True
        for outgoing in self._open:
            outgoing.stop()

    def flushed(self) -> None:
        """Everything that was taken is stored."""
        self._flushed.set()

    async def Recall(self, request: pb.RecallRequest, context: RecallContext) -> None:
        """Say what an earlier device of the same name had learned."""
        await self._recalls.answer(request, context)

    async def Stream(self, request_iterator: object, context: Context) -> None:
        """Serve one connection of one device; the iterator would keep the last message of each of thousands."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = await self._hello(context)
            greeted = await self._greet(hello)
            outgoing = Outgoing()
            intake = self._intakes.attach(hello.stream, outgoing, greeted.session)
            try:
                with self.metrics.sessions.track_inprogress():
                    await self._welcome(hello, greeted, intake, context)
                    del hello, greeted  # the stream may live for months
                    await self._serve(Session(self, intake, outgoing), context)
            finally:
                self._intakes.detach(intake, outgoing)
        except TimeoutError:
            await abort(context, WrongUse(f"no Hello within {HELLO_SECONDS:.0f} s"))
        except ForewarnError as e:
            log.warning("stream refused", peer=context.peer(), reason=str(e))
            await abort(context, e)

    async def _hello(self, context: Context) -> wire.Hello:
        first = await context.read()
        if not isinstance(first, pb.StreamRequest) or first.WhichOneof("message") != "hello":
            raise WrongUse("the first message of a stream is Hello")
        self._callers.check(context, first.hello.enterprise, first.hello.site, first.hello.device)
        return wire.read_hello(first.hello, self._enterprise)

    async def _welcome(self, hello: wire.Hello, greeted: Greeted, intake: Intake, context: Context) -> None:
        intake.stored = greeted.stored.copy()
        everything = greeted.stored.copy()
        everything.update(_not_kept(greeted.alerts, hello.kept))
        answer = wire.welcome(
            everything,
            greeted.head,
            version=hello.version,
            session=greeted.session,
            credit_bytes=self.limits.credit_bytes,
            largest_message_bytes=self.limits.largest_message_bytes,
        )
        await context.write(answer)
        log.info("device connected", device=hello.stream.device, site=hello.stream.site, stored=len(greeted.stored))

    async def _serve(self, session: Session, context: Context) -> None:
        acknowledger = asyncio.create_task(session.acknowledge(context))
        reader = asyncio.create_task(session.read(context))
        session.outgoing.stop = reader.cancel
        self._open.add(session.outgoing)
        try:
            if self._draining or session.outgoing.fenced:
                reader.cancel()
            await asyncio.wait({reader, acknowledger}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and not reader.cancelled():
                reader.result()
                await _first(session.finished(FINISH_SECONDS), acknowledger)
            if session.outgoing.fenced:
                raise _replaced(session.intake)
            if reader.cancelled():
                await self._flushed.wait()
            await session.close(acknowledger)
        finally:
            self._open.discard(session.outgoing)
            await _end(reader, acknowledger)
            if session.outgoing.fenced:
                await self._note_fenced(session.intake.stream)


class Session:
    """The state of one connection."""

    def __init__(self, service: Telemetry, intake: Intake, outgoing: Outgoing) -> None:
        self._service = service
        self.intake = intake
        self.outgoing = outgoing
        self._schemas: dict[int, Schema] = {}
        limits = service.limits
        self.parts = Parts(
            service.parts_budget, largest_bytes=limits.largest_message_bytes, wait_seconds=limits.wait_seconds
        )
        self._closing = False

    async def read(self, context: Context) -> None:
        """Take messages until the device has said everything."""
        try:
            async with asyncio.timeout(None) as deadline:
                while await self._message(context):
                    if deadline.when() != self.parts.due_s:
                        deadline.reschedule(self.parts.due_s)
        except TimeoutError:
            raise self.parts.overdue() from None
        finally:
            self.parts.close()

    async def _message(self, context: Context) -> bool:
        """Wait for one message and take it; it is gone before the next one is waited for."""
        request = await context.read()
        if not isinstance(request, pb.StreamRequest):
            return False
        match request.WhichOneof("message"):
            case "schema":
                self._learn(wire.read_schema(request.schema))
            case "batches":
                for batch in request.batches.batches:
                    await self._take(batch)
            case "part":
                await self._take_part(wire.read_part(request.part))
            case "hello":
                raise WrongUse("a second Hello in one stream")
            case _:
                raise WrongUse("a message of a kind that this gateway does not know", mend="update the gateway")
        return True

    async def _take_part(self, part: Part) -> None:
        whole = await self.parts.add(part)
        self.outgoing.add(part_bytes=self.parts.taken)
        if whole is not None:
            await self._take(wire.whole(part, whole))

    def _learn(self, schema: Schema) -> None:
        if len(self._schemas) >= _SCHEMAS:
            raise WrongUse(f"more than {_SCHEMAS} schemas in one stream")
        self._schemas[schema.id] = schema

    async def _take(self, message: pb.Batch) -> None:
        """Take one batch: what is new goes to the writer, what is stored already is said at once."""
        rules.check_range(message.first_sequence, message.count)
        service = self._service
        batch = wire.read_batch(message, self._schemas, service.now_ns())
        size = batch.bytes + _OVERHEAD
        service.metrics.took(batch.shape.kind, batch.rows, size - _OVERHEAD)
        try:
            await self.intake.budget.take(size, within_s=service.limits.wait_seconds)
            try:
                within_s, first = service.limits.wait_seconds, self.intake.little
                await service.budget.take(size, within_s=within_s, first=first)
            except BaseException:
                self.intake.budget.give(size)
                raise
        except TimeoutError:
            raise Overloaded(
                "the gateway's memory is full, because its store or catalogue is slow or away",
                mend="keep the records and try again later",
            ) from None
        try:
            if self.intake.fenced:
                raise _replaced(self.intake)
            new, known = self.intake.take(batch.first, batch.last, batch.digest)
        except Replaced:
            self._give(size)
            raise
        self.outgoing.add(received=[(batch.first, batch.last)], stored=known)
        if new:
            service.writer.add(batch, new, self.intake, size)
        else:
            self._give(size)
        if new != [(batch.first, batch.last)]:
            service.metrics.known.inc(batch.rows - sum(hi - lo + 1 for lo, hi in new))

    def _give(self, size: int) -> None:
        self._service.budget.give(size)
        self.intake.budget.give(size)

    async def acknowledge(self, context: Context) -> None:
        """Send what has piled up, until `close`."""
        while not self._closing or self.outgoing.ready.is_set():
            await self.outgoing.ready.wait()
            if not self._closing:
                await asyncio.sleep(COALESCE_SECONDS)
            pile = self.outgoing.take()
            if any(pile):
                await context.write(wire.ack(*pile))
                self._service.metrics.sent.inc()

    async def finished(self, within_s: float) -> None:
        """Wait until everything that was taken from this device is stored."""
        try:
            async with asyncio.timeout(within_s):
                while self.intake.pending and not self.outgoing.fenced:
                    await self.outgoing.ready.wait()
                    await asyncio.sleep(COALESCE_SECONDS)
        except TimeoutError:
            raise Unavailable("what was sent is not stored yet", mend="connect again and ask") from None

    async def close(self, acknowledger: asyncio.Task[None]) -> None:
        """Let the last acknowledgement go out; its failure is raised here."""
        self._closing = True
        self.outgoing.ready.set()
        async with asyncio.timeout(LAST_ACK_SECONDS):
            await acknowledger


def _not_kept(alerts: Ranges, kept: Ranges) -> Ranges:
    """Alerts that were taken, without those that the device still has: it raises them again, and each is compared."""
    rest = alerts.copy()
    for first, last in kept:
        rest.remove(first, last)
    return rest


def _replaced(intake: Intake) -> Replaced:
    return Replaced(
        "a newer session of this device holds the stream",
        where=f"{intake.stream.site}/{intake.stream.device}",
        mend="what was not said to be stored was not stored; connect again only if this is the one device of its name",
    )


async def _first(work: Coroutine[Any, Any, None], other: asyncio.Task[None]) -> None:
    """Do the work until its end or that of `other`, whose result is not taken here."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
        if not other.done():
            task.result()
    finally:
        await _end(task)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end; a failure of one that had ended before is its own reader's business."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
