"""Gives a device that replaces another what that one had learned: the newest copy of each machine, from the lake.

A copy that was made before the crew last ordered a new baseline is not given: the machine was repaired since, also
where its device died before it could say so. Bounded: so many calls at a time, one of each device, each with its
deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
import structlog

from cloud.catalogue.access import reading
from cloud.catalogue.downlink import newest_baselines
from cloud.gateway import rules
from cloud.gateway.statuses import Overloaded, Refused, abort
from cloud.gateway.tls import Callers
from cloud.lake.copies import Copy, newest
from models.errors import ForewarnError, Unavailable, WrongUse
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.lake.reader import Lake

log: structlog.stdlib.BoundLogger = structlog.get_logger()
CALL_SECONDS = 120.0  # for reading and sending
WAIT_SECONDS = 10.0  # for a place
_PLACES = 2  # calls at a time: each may hold a segment of some 20 MB
_MOST_MACHINES = 64
_CHUNK = 64 * 1024

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
Context = grpc.aio.ServicerContext[pb.RecallRequest, pb.RecallResponse]


class Recalls:
    """Answers the call; nothing is kept between two."""

    def __init__(self, enterprise: str, engine: Engine, lake: Lake, callers: Callers, in_thread: InThread) -> None:
        self._enterprise = enterprise
        self._engine = engine
        self._lake = lake
        self._callers = callers
        self._in_thread = in_thread
        self._places = asyncio.Semaphore(_PLACES)
        self._asking: set[tuple[str, str]] = set()

    async def answer(self, request: pb.RecallRequest, context: Context) -> None:
        """Send the copies, machine by machine."""
        try:
            site, device, machines = self._checked(request, context)
            async with asyncio.timeout(CALL_SECONDS), self._place(site, device):
                found = await self._in_thread(lambda: self._read(site, device, machines))
                for machine, copy in found.items():
                    await _send(machine, copy, context)
        except TimeoutError:
            await abort(context, Unavailable(f"the copies did not get through in {CALL_SECONDS:.0f} s"))
        except ForewarnError as e:
            log.warning("recall refused", peer=context.peer(), device=request.device[:64], reason=str(e))
            await abort(context, e)
        log.info("copies given", site=site, device=device, asked=len(machines), machines=sorted(found))

    def _checked(self, request: pb.RecallRequest, context: Context) -> tuple[str, str, list[str]]:
        self._callers.check(context, request.enterprise, request.site, request.device)
        if request.enterprise != self._enterprise:
            raise Refused(f"this gateway serves the enterprise {self._enterprise!r}")
        if not 1 <= len(request.machines) <= _MOST_MACHINES:
            raise WrongUse(f"{len(request.machines)} machines in one call", mend=f"ask for 1 to {_MOST_MACHINES}")
        machines = [rules.check_id("machine", m) for m in request.machines]
        return rules.check_id("site", request.site), rules.check_id("device", request.device), machines

    @asynccontextmanager
    async def _place(self, site: str, device: str) -> AsyncIterator[None]:
        owner = (site, device)
        if owner in self._asking:
            raise Overloaded("this device asks already", mend="wait for the answer")
        self._asking.add(owner)
        try:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._places.acquire()
            except TimeoutError:
                raise Overloaded("too many devices ask at once", mend="try again later") from None
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._asking.discard(owner)

    def _read(self, site: str, device: str, machines: list[str]) -> dict[str, Copy]:
        with reading(self._engine) as connection:
            repaired = newest_baselines(connection, self._enterprise, site)
        return newest(self._lake, site, device, machines, after_ns=repaired)


async def _send(machine: str, copy: Copy, context: Context) -> None:
    for at in range(0, len(copy.data), _CHUNK):
        piece = pb.RecallResponse(
            machine=machine,
            event_time_ns=copy.event_time_ns,
            data=copy.data[at : at + _CHUNK],
            last=at + _CHUNK >= len(copy.data),
        )
        await context.write(piece)
