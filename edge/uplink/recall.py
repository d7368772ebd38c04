"""Asks the cloud what an earlier device of this name had learned, while its machines are learning anew.

In the background, as often as it takes: nothing waits for the answer, and whoever has learned meanwhile needs none. One
answer is enough, also one that knows nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import grpc
import grpc.aio
import structlog

from edge.uplink.pace import Backoff
from edge.uplink.session import Identity
from models.errors import Unavailable
from protos.forewarn.telemetry.v1 import telemetry_pb2 as wire
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import TelemetryServiceStub

CALL_S = 120.0  # for all copies: those of 40 machines at 8 kB/s
LARGEST_BYTES = 4 << 20  # of one machine's copy
_MOST_MACHINES = 64  # in one call
_log = structlog.get_logger()


class Learner(Protocol):
    """A machine that may be learning."""

    @property
    def asking(self) -> bool:
        """Whether a copy would be taken over."""
        ...


class Recall:
    """Brings each machine's copy to `give`; `run` ends when there is nobody left to ask for."""

    def __init__(
        self,
        channel: Callable[[], grpc.aio.Channel],
        identity: Identity,
        learners: Sequence[tuple[str, Learner]],
        give: Callable[[str, bytes], None],
        *,
        longest_retry_s: float = 60.0,
        call_s: float = CALL_S,
    ) -> None:
        """`learners` by the names of their machines. `channel` returns the one in use now, or raises `Unavailable`."""
        self._channel = channel
        self._identity = identity
        self._learners = learners
        self._give = give
        self._backoff = Backoff(0.5, longest_retry_s)
        self._call_s = call_s
        self._said = ""

    async def run(self) -> None:
        """Ask until answered."""
        while machines := [name for name, learner in self._learners if learner.asking][:_MOST_MACHINES]:
            try:
                found = await self._ask(machines)
            except Unavailable as e:
                if str(e) != self._said:
                    self._said = str(e)
                    _log.warning("nobody says what was learned before, learning meanwhile", reason=self._said)
                await asyncio.sleep(self._backoff.next_s())
                continue
            for machine, copy in found.items():
                self._give(machine, copy)
            for machine in sorted(set(machines) - found.keys()):
                _log.info("the cloud has no copy to go on from, learning anew", machine=machine)
            self._learners = [(name, learner) for name, learner in self._learners if name not in machines]

    async def _ask(self, machines: Sequence[str]) -> dict[str, bytes]:
        me = self._identity
        request = wire.RecallRequest(enterprise=me.enterprise, site=me.site, device=me.device, machines=machines)
        try:
            stub = TelemetryServiceStub(self._channel())  # type: ignore[no-untyped-call]  # generated
            return await self._collect(stub.Recall(request, timeout=self._call_s), machines)
        except grpc.aio.AioRpcError as e:
            raise Unavailable(f"{e.code().name}: {e.details() or 'no details'}") from e
        except asyncio.CancelledError as e:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # it is this task that shall end
            raise Unavailable("its channel was closed") from e

    async def _collect(
        self, call: grpc.aio.UnaryStreamCall[wire.RecallRequest, wire.RecallResponse], machines: Sequence[str]
    ) -> dict[str, bytes]:
        """The whole copies; what breaks off is not one."""
        parts: dict[str, bytearray] = {}
        whole: dict[str, bytes] = {}
        try:
            async for piece in call:
                data = parts.setdefault(piece.machine, bytearray())
                data += piece.data
                if piece.machine not in machines or len(data) > LARGEST_BYTES:
                    raise Unavailable(f"the gateway sends {len(data)} bytes for {piece.machine[:64]!r}")
                if piece.last:
                    whole[piece.machine] = bytes(parts.pop(piece.machine))
        finally:
            call.cancel()
        return whole
