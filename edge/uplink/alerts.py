"""The alerts of one session: those that wait go together, each by a call of its own, and none waits for another.

Only the changes of one alarm keep their order: the next one leaves when the one before it is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

import grpc
import grpc.aio
import structlog

from edge.monitoring.meter import Meter
from edge.outbox import Entry, Outbox, Range
from edge.uplink.pace import Pacer
from edge.uplink.signals import EpochEnded, InThread, Signals
from protos.forewarn.alert.v1 import alert_pb2 as pb
from protos.forewarn.alert.v1.alert_pb2_grpc import AlertServiceStub

AT_ONCE = 16  # calls on the way, and no more bytes than the window
_REFUSED_FOR_GOOD = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE}
_log = structlog.get_logger()

Request = Callable[[Entry], pb.RaiseRequest]
Forget = Callable[[Iterable[Range]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Call:
    """An alert on the way."""

    entry: Entry
    key: str  # of its alarm


class AlertCalls:
    """`run` ends with EpochEnded or with the error of a call that may be tried again."""

    def __init__(
        self,
        service: AlertServiceStub,
        outbox: Outbox,
        *,
        epoch: int,
        request: Request,
        pacer: Pacer,
        signals: Signals,
        meter: Meter,
        in_thread: InThread,
        forget: Forget,
        within_s: float,
    ) -> None:
        """`within_s` is how long an answer may take on an idle link."""
        self._service = service
        self._outbox = outbox
        self._epoch = epoch
        self._request = request
        self._pacer = pacer
        self._signals = signals
        self._meter = meter
        self._in_thread = in_thread
        self._forget = forget
        self._within_s = within_s
        self._calls: dict[asyncio.Task[None], _Call] = {}
        signals.alerts_wait = True  # until it was found that there are none

    async def run(self) -> None:
        """Raise what waits, oldest first, for as long as the session lives."""
        try:
            while True:
                self._signals.alerts.clear()
                entries = await self._in_thread(self._outbox.read_alerts)
                if self._outbox.epoch != self._epoch:
                    raise EpochEnded
                self._signals.alerts_wait = bool(entries)
                if not entries:
                    self._signals.bulk.set()
                self._start(entries)
                await self._next()
        finally:
            for task in self._calls:
                task.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    def _start(self, entries: Iterable[Entry]) -> None:
        """Call for what is not on the way yet and need not wait for an earlier change of its alarm."""
        under_way = {call.entry.last for call in self._calls.values()}
        keys = {call.key for call in self._calls.values()}
        for entry in entries:
            if entry.last in under_way:
                continue
            request = self._request(entry)
            if self._full(len(entry.blob)):
                return
            if request.alert.key not in keys:
                task = asyncio.ensure_future(self._raise(entry, request))
                self._calls[task] = _Call(entry, request.alert.key)
            keys.add(request.alert.key)

    @property
    def _bytes(self) -> int:
        return sum(len(call.entry.blob) for call in self._calls.values())

    def _full(self, size: int) -> bool:
        return len(self._calls) >= AT_ONCE or (bool(self._calls) and self._bytes + size > self._pacer.window)

    async def _next(self) -> None:
        """Wait until an alert is new or a call has ended; raise what one ended with."""
        new = asyncio.ensure_future(self._signals.alerts.wait())
        try:
            done, _ = await asyncio.wait({new, *self._calls}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            new.cancel()
        for task in [t for t in self._calls if t in done]:
            del self._calls[task]
            task.result()

    async def _raise(self, entry: Entry, request: pb.RaiseRequest) -> None:
        try:
            within_s = self._within_s + self._pacer.queue_s(beside=self._bytes)
            response = await self._service.Raise(request, timeout=within_s)
        except grpc.aio.AioRpcError as e:
            if e.code() is grpc.StatusCode.ALREADY_EXISTS:  # docs/decisions/0013
                await self._in_thread(partial(self._outbox.new_epoch, e.details() or "an alert's number is in use"))
                raise EpochEnded from e
            if e.code() not in _REFUSED_FOR_GOOD:
                raise
            reason = f"refused by the cloud: {e.details()}"
            await self._in_thread(lambda: self._outbox.quarantine(entry.last, reason))
            return
        _log.info("alert delivered", alert=response.alert_id, key=request.alert.key, sequence=entry.first)
        for name in ("sent_records_total", "received_records_total", "stored_records_total"):
            self._meter.add(name)
        await self._forget([(entry.first, entry.last)])
