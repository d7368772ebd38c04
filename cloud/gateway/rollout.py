"""Carries models and the crew's answers down to devices.

One poll of the catalogue serves all watchers, so ten thousand devices cost one query each quarter of a second. What a
device trusts is decided by signatures on the device; here a file is only bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog
from sqlalchemy import Engine

from cloud.catalogue import downlink
from cloud.catalogue.access import reading, writing
from cloud.catalogue.downlink import Downlink, Order
from cloud.gateway import rules
from cloud.gateway.statuses import Refused, abort
from cloud.gateway.tls import Callers
from cloud.store import ObjectStore
from cloud.store.keys import check_key
from models.errors import ForewarnError, Unavailable, WrongUse
from protos.forewarn.rollout.v1 import rollout_pb2 as pb
from protos.forewarn.rollout.v1 import rollout_pb2_grpc

log: structlog.stdlib.BoundLogger = structlog.get_logger()
POLL_SECONDS = 0.25
_CHUNK = 64 * 1024
_KINDS = {
    "acknowledge": pb.COMMAND_KIND_ACKNOWLEDGE,
    "new_baseline": pb.COMMAND_KIND_NEW_BASELINE,
    "send_flight": pb.COMMAND_KIND_SEND_FLIGHT,
}

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
Context = grpc.aio.ServicerContext[Any, Any]


class Board:
    """The newest downlink, read by one poll for everybody."""

    def __init__(self, enterprise: str, engine: Engine, in_thread: InThread) -> None:
        self._enterprise = enterprise
        self._engine = engine
        self._in_thread = in_thread
        self._newest = Downlink({}, {})
        self._begun = self._done = 0  # polls
        self._news = asyncio.Condition()
        self._newcomer = asyncio.Event()
        self._watchers = 0

    async def run(self) -> None:
        """Poll until cancelled; without watchers there is nothing to ask."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS if self._watchers else None):
                    await self._newcomer.wait()
            try:
                await self._poll()
            except Unavailable as e:
                log.warning("assignments not read", reason=str(e))
                await asyncio.sleep(POLL_SECONDS)

    async def _poll(self) -> None:
        newcomers = self._newcomer.is_set()
        self._newcomer.clear()
        self._begun += 1
        number = self._begun
        try:
            newest = await self._in_thread(self._read)
        except Unavailable:
            if newcomers:
                self._newcomer.set()
            raise
        self._done = number
        if newcomers or newest != self._newest:
            self._newest = newest
            async with self._news:
                self._news.notify_all()

    async def watch(self) -> AsyncIterator[Downlink]:
        """Yield the downlink as it is now (never what was read before this call), then at each change."""
        fresh = self._begun + 1
        self._watchers += 1
        self._newcomer.set()
        told: Downlink | None = None
        try:
            while True:
                async with self._news:
                    while self._done < fresh or self._newest == told:
                        await self._news.wait()
                    told = self._newest
                yield told
        finally:
            self._watchers -= 1

    def _read(self) -> Downlink:
        with reading(self._engine) as connection:
            return downlink.read(connection, self._enterprise)


class Rollout(rollout_pb2_grpc.RolloutServiceServicer):
    """The rollout service."""

    def __init__(
        self,
        *,
        enterprise: str,
        engine: Engine,
        store: ObjectStore,
        board: Board,
        callers: Callers,
        in_thread: InThread,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._enterprise = enterprise
        self._engine = engine
        self._store = store
        self._board = board
        self._callers = callers
        self._in_thread = in_thread
        self._now_ns = now_ns
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """End every watch; devices ask another gateway."""
        self._draining.set()

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:
        """Say what is assigned at once, then what changes."""
        try:
            owner = self._owner(request, context)
            classes = [rules.check_id("machine class", c) for c in request.machine_classes]
            told = asyncio.create_task(self._tell(owner, classes, context))
            draining = asyncio.create_task(self._draining.wait())
            try:
                await asyncio.wait({told, draining}, return_when=asyncio.FIRST_COMPLETED)
                if told.done():
                    told.result()
            finally:
                told.cancel()
                draining.cancel()
                await asyncio.gather(told, draining, return_exceptions=True)
        except ForewarnError as e:
            await _refuse(context, e)

    async def _tell(self, owner: tuple[str, str], classes: list[str], context: Context) -> None:
        assigned: dict[str, str] = {}
        sent: set[int] = set()
        async for newest in self._board.watch():
            for machine_class in classes:
                bundle = newest.assigned.get(machine_class, "")
                if assigned.get(machine_class) != bundle:
                    assigned[machine_class] = bundle
                    await context.write(
                        pb.WatchResponse(assignment=pb.Assignment(bundle=bundle, machine_class=machine_class))
                    )
            orders = newest.orders.get(owner, ())
            sent &= {order.id for order in orders}
            for order in orders:
                if order.id not in sent:
                    sent.add(order.id)
                    await context.write(_command(order))
                    await self._write(partial(downlink.delivered, order=order, now_ns=self._now_ns()))

    async def Fetch(self, request: pb.FetchRequest, context: Context) -> None:
        """Send one file of the signed repository."""
        try:
            self._callers.check_enterprise(context, self._enterprise)
            key = self._file(request.path)
            data = await self._in_thread(lambda: self._store.get(key))
        except KeyError:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no file {request.path}")
        except ForewarnError as e:
            await _refuse(context, e)
        for at in range(0, len(data), _CHUNK):
            await context.write(pb.FetchResponse(chunk=data[at : at + _CHUNK]))

    async def Report(self, request: pb.ReportRequest, context: Context) -> pb.ReportResponse:
        """Keep what became of a bundle."""
        try:
            site, device = self._owner(request, context)
            if request.state not in (pb.BUNDLE_STATE_RUNNING, pb.BUNDLE_STATE_REFUSED):
                raise WrongUse(f"bundle state {request.state} is not known here", mend="update the gateway")
            said = downlink.Report(
                site=site,
                device=device,
                bundle=request.bundle[:200],
                running=request.state == pb.BUNDLE_STATE_RUNNING,
                reason=request.reason[:1000],
            )
            await self._write(lambda c: downlink.report(c, self._enterprise, said, self._now_ns()))
        except ForewarnError as e:
            await _refuse(context, e)
        log.info("bundle reported", device=device, bundle=said.bundle, running=said.running, reason=said.reason)
        return pb.ReportResponse()

    def _owner(self, request: pb.WatchRequest | pb.ReportRequest, context: Context) -> tuple[str, str]:
        self._callers.check(context, request.enterprise, request.site, request.device)
        if request.enterprise != self._enterprise:
            raise Refused(f"this gateway serves the enterprise {self._enterprise!r}")
        return rules.check_id("site", request.site), rules.check_id("device", request.device)

    def _file(self, path: str) -> str:
        """Return the key of a file of the repository, and of nothing else in the store."""
        try:
            check_key(path)
        except ValueError as e:
            raise WrongUse(str(e)) from e
        if not path.startswith(("metadata/", "targets/")):
            raise Refused("only metadata/ and targets/ are served")
        return f"registry/{self._enterprise}/{path}"

    async def _write(self, change: Callable[[Any], None]) -> None:
        def write() -> None:
            with writing(self._engine) as connection:
                change(connection)

        await self._in_thread(write)


async def _refuse(context: Context, error: ForewarnError) -> NoReturn:
    log.warning("rollout call refused", peer=context.peer(), reason=str(error))
    await abort(context, error)


def _command(order: Order) -> pb.WatchResponse:
    return pb.WatchResponse(
        command=pb.Command(
            id=str(order.id),
            machine=order.machine,
            kind=_KINDS.get(order.kind, pb.COMMAND_KIND_UNSPECIFIED),
            alert_key=order.alert_key,
            from_ns=order.from_ns,
            to_ns=order.to_ns,
        )
    )
