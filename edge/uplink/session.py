"""One stream to one gateway, from Hello to its end, and the alert calls beside it.

Invariants
- Nothing is sent before the cloud's cursor was compared with this store: a number must not name two contents.
- Alerts overtake live windows, live windows overtake the backlog.
- Only `stored` makes the outbox forget; `received` merely gives room.
- Every wait has a deadline: for Welcome, for an alert's answer, for the `stored` of what was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import grpc
import grpc.aio
import structlog

from edge import wire
from edge.monitoring.meter import Meter
from edge.outbox import Outbox, Range
from edge.types import Machine
from edge.uplink.alerts import AlertCalls
from edge.uplink.bulk import ENVELOPE_BYTES, MESSAGE_BYTES, Bulk
from edge.uplink.pace import Pacer, Sent
from edge.uplink.rules import Cursor, disagreement
from edge.uplink.signals import EpochEnded, Signals
from models.errors import Unavailable
from models.tracing import BatchName, Traces
from protos.forewarn.alert.v1.alert_pb2_grpc import AlertServiceStub
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import TelemetryServiceStub

T = TypeVar("T")
_PARTS_SINCE = 3  # the protocol version
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who speaks."""

    enterprise: str
    site: str
    device: str
    software_version: str = ""
    machines: tuple[Machine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long the other side may take, in seconds."""

    welcome_s: float = 10.0
    alert_s: float = 10.0
    stored_s: float = 120.0  # without any `stored` while something waits for it


async def _nothing() -> None:
    pass


class Session:
    """One connection; `run` ends with Unavailable or EpochEnded, or when it is cancelled."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        outbox: Outbox,
        identity: Identity,
        signals: Signals,
        threads: Executor,
        *,
        deadlines: Deadlines,
        clock_s: Callable[[], float] = time.monotonic,
        meter: Meter | None = None,
        welcomed: Callable[[], Awaitable[None]] = _nothing,
        traces: Traces | None = None,
    ) -> None:
        """`welcomed` is awaited when the gateway has taken this device and the cursors were found to agree."""
        self._telemetry = TelemetryServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self._alert_service = AlertServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self._outbox = outbox
        self._identity = identity
        self._signals = signals
        self._threads = threads
        self._deadlines = deadlines
        self._clock_s = clock_s
        self._meter = meter or Meter()
        self._welcomed = welcomed
        self._traces = traces
        self.welcomed_s: float | None = None  # when the cursors were found to agree

    async def run(self) -> None:
        """Greet, compare, then send and receive until the stream ends."""
        self._call = self._telemetry.Stream()
        try:
            async with asyncio.timeout(self._deadlines.welcome_s):
                welcome = await self._greet()
            await self._compare(welcome)
            self._pacer = Pacer(welcome.credit_bytes or MESSAGE_BYTES, self._clock_s)
            self._stored_s = self._clock_s()
            bulk, alerts = self._bulk(welcome), self._alerts()
            await _first_to_end(bulk.run(), self._receive(), alerts.run(), self._watch())
        except TimeoutError as e:
            raise Unavailable(f"no Welcome within {self._deadlines.welcome_s:g} s") from e
        except grpc.aio.AioRpcError as e:
            raise Unavailable(f"{e.code().name}: {e.details() or 'no details'}") from e
        except (grpc.aio.UsageError, asyncio.InvalidStateError) as e:  # a call that ended between two of our steps
            raise Unavailable(await self._ending()) from e
        finally:
            self._meter.set("connected", 0)
            self._call.cancel()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    # --- greeting -------------------------------------------------------------------------------------------------

    async def _greet(self) -> pb.Welcome:
        self._epoch, self._head = self._outbox.epoch, self._outbox.head
        kept = await self._in_thread(self._outbox.kept_ranges)
        me = self._identity
        hello = wire.hello(
            enterprise=me.enterprise,
            site=me.site,
            device=me.device,
            epoch=self._epoch,
            head=self._head,
            kept=kept,
            software_version=me.software_version,
            machines=me.machines,
        )
        await self._call.write(hello)
        response = await self._read()
        if response.WhichOneof("message") != "welcome":
            raise Unavailable("the gateway's first word was not Welcome")
        welcome = response.welcome
        if not wire.OLDEST_PROTOCOL_VERSION <= welcome.protocol_version <= wire.PROTOCOL_VERSION:
            raise Unavailable(
                f"the gateway answers in protocol version {welcome.protocol_version}, "
                f"this device speaks {wire.OLDEST_PROTOCOL_VERSION} to {wire.PROTOCOL_VERSION}",
                mend="update the older of the two",
            )
        self._number = welcome.session
        return welcome

    async def _read(self) -> pb.StreamResponse:
        response = await self._call.read()
        if response is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in the stubs
            raise Unavailable(await self._ending())
        assert isinstance(response, pb.StreamResponse)
        return response

    async def _ending(self) -> str:
        """How the stream ended, in the words of a call that fails: the log says each outage once."""
        code, details = await self._call.code(), await self._call.details()
        return f"{code.name}: {details or 'no details'}"

    async def _compare(self, welcome: pb.Welcome) -> None:
        """Begin a new epoch if the cloud's memory is not ours; forget what it has stored otherwise."""
        outbox = self._outbox
        cursor = Cursor(
            stored=tuple(wire.plain_ranges(welcome.stored)),
            head=welcome.head.sequence if welcome.HasField("head") else 0,
            digest=welcome.head.digest,
        )
        digest = await self._in_thread(lambda: outbox.mark(cursor.head)) if cursor.head else None
        if outbox.epoch != self._epoch:
            raise EpochEnded
        reason = disagreement(cursor, head=outbox.head, stored_head=outbox.stored_head, digest=digest)
        if reason:
            await self._in_thread(lambda: outbox.new_epoch(reason))
            raise EpochEnded
        await self._forget(cursor.stored)
        self.welcomed_s = self._clock_s()
        await self._welcomed()
        self._meter.set("connected", 1)
        _log.info("connected", epoch=self._epoch, head=self._head, backlog_bytes=outbox.kept_bytes)

    async def _forget(self, ranges: Iterable[Range]) -> None:
        await self._in_thread(partial(self._outbox.stored, self._epoch, list(ranges)))
        self._signals.stored.set()

    # --- the stream, up, and the alerts beside it -----------------------------------------------------------------

    def _bulk(self, welcome: pb.Welcome) -> Bulk:
        return Bulk(
            self._outbox,
            epoch=self._epoch,
            head=self._head,
            pacer=self._pacer,
            signals=self._signals,
            meter=self._meter,
            write=self._call.write,
            in_thread=self._in_thread,
            largest_bytes=min(MESSAGE_BYTES, (welcome.largest_message_bytes or MESSAGE_BYTES) - ENVELOPE_BYTES),
            in_parts=welcome.protocol_version >= _PARTS_SINCE,
        )

    def _alerts(self) -> AlertCalls:
        me = self._identity
        request = partial(
            wire.raise_request,
            enterprise=me.enterprise,
            site=me.site,
            device=me.device,
            epoch=self._epoch,
            session=self._number,
        )
        return AlertCalls(
            self._alert_service,
            self._outbox,
            epoch=self._epoch,
            request=request,
            pacer=self._pacer,
            signals=self._signals,
            meter=self._meter,
            in_thread=self._in_thread,
            forget=self._forget,
            within_s=self._deadlines.alert_s,
        )

    # --- the stream, down -----------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        while True:
            response = await self._read()
            if response.WhichOneof("message") != "ack":
                continue  # a newer gateway may say more than we know
            for rejection in response.ack.rejected:
                _log.warning("record refused by the cloud", sequence=rejection.sequence, reason=rejection.reason)
            received = wire.plain_ranges(response.ack.received)
            stored = wire.plain_ranges(response.ack.stored)
            self._pacer.received([*received, *stored], response.ack.part_bytes)
            self._meter.add("received_records_total", _count(received))
            self._meter.add("stored_records_total", _count(stored))
            self._meter.add("rejected_records_total", len(response.ack.rejected))
            self._signals.bulk.set()
            if stored:
                self._trace(self._pacer.unstored.remove(stored))
                self._stored_s = self._clock_s()
                await self._forget(stored)

    def _trace(self, stored: Iterable[Sent]) -> None:
        if self._traces is None:
            return
        me, now_ns, now_s = self._identity, time.time_ns(), self._clock_s()
        for sent in stored:
            batch = BatchName(me.enterprise, me.site, me.device, self._epoch, sent.first)
            self._traces.sent(batch, now_ns - round((now_s - sent.left_s) * 1e9), now_ns)

    async def _watch(self) -> None:
        """End a stream on which nothing is stored any more: another gateway, or this one reborn, may do better."""
        deadline_s = self._deadlines.stored_s
        while True:
            await asyncio.sleep(deadline_s / 4)
            if not self._pacer.unstored:
                self._stored_s = self._clock_s()
            if self._clock_s() - self._stored_s > deadline_s:
                raise Unavailable(f"nothing was stored for {deadline_s:g} s")
            if self._pacer.silent_s > deadline_s:
                raise Unavailable(f"nothing was received for {deadline_s:g} s")


def _count(ranges: Iterable[Range]) -> int:
    return sum(last - first + 1 for first, last in ranges)


async def _first_to_end(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, which it does only by an error; end the others, and raise it."""
    tasks = [asyncio.ensure_future(p) for p in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
