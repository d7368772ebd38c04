"""The rollout service over gRPC: the only file of the updater that knows the wire."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

import grpc
import grpc.aio

from edge.updater.orders import Assigned, Command
from models.errors import Unavailable
from protos.forewarn.rollout.v1 import rollout_pb2 as wire
from protos.forewarn.rollout.v1.rollout_pb2_grpc import RolloutServiceStub

WATCH_S = 3600.0  # a stream that lives longer is opened anew: a gateway that forgot this device is noticed
FETCH_S = 600.0  # for one file: 16 MB take 33 minutes at 64 kbit/s, a usual bundle (300 kB) 40 s
REPORT_S = 10.0
_KINDS = {
    wire.COMMAND_KIND_ACKNOWLEDGE: "acknowledge",
    wire.COMMAND_KIND_NEW_BASELINE: "new_baseline",
    wire.COMMAND_KIND_SEND_FLIGHT: "send_flight",
}


class RolloutClient:
    """Implements `edge.updater.orders.RolloutLink` on the agent's own channel."""

    def __init__(
        self,
        channel: Callable[[], grpc.aio.Channel],
        *,
        enterprise: str,
        site: str,
        device: str,
        machine_classes: Sequence[str],
    ) -> None:
        """`channel` returns the channel in use now; it may raise `Unavailable` while there is none."""
        self._channel = channel
        self._enterprise, self._site, self._device = enterprise, site, device
        self._machine_classes = tuple(machine_classes)

    async def watch(self, running_bundle: str) -> AsyncIterator[Assigned | Command]:
        """See `RolloutLink`; kinds of command that this version does not know are passed over."""
        request = wire.WatchRequest(
            enterprise=self._enterprise,
            site=self._site,
            device=self._device,
            machine_classes=self._machine_classes,
            running_bundle=running_bundle,
        )
        with _as_ours("Watch"):
            async for response in self._stub().Watch(request, timeout=WATCH_S * random.uniform(0.8, 1.0)):  # noqa: S311
                match response.WhichOneof("message"):
                    case "assignment":
                        yield Assigned(response.assignment.machine_class, response.assignment.bundle)
                    case "command" if response.command.kind in _KINDS:
                        command = response.command
                        yield Command(
                            id=command.id,
                            kind=_KINDS[command.kind],
                            machine=command.machine,
                            alert_key=command.alert_key,
                            from_ns=command.from_ns,
                            to_ns=command.to_ns,
                        )

    async def fetch(self, path: str) -> AsyncGenerator[bytes, None]:
        """See `RolloutLink`."""
        with _as_ours(f"Fetch {path}"):
            try:
                async for response in self._stub().Fetch(wire.FetchRequest(path=path), timeout=FETCH_S):
                    yield response.chunk
            except grpc.aio.AioRpcError as e:
                if e.code() is grpc.StatusCode.NOT_FOUND:
                    raise KeyError(path) from e
                raise

    async def report(self, bundle: str, *, running: bool, reason: str = "") -> None:
        """See `RolloutLink`."""
        state = wire.BUNDLE_STATE_RUNNING if running else wire.BUNDLE_STATE_REFUSED
        request = wire.ReportRequest(
            enterprise=self._enterprise,
            site=self._site,
            device=self._device,
            bundle=bundle,
            state=state,
            reason=reason[:1000],
        )
        with _as_ours("Report"):
            await self._stub().Report(request, timeout=REPORT_S)

    def _stub(self) -> RolloutServiceStub:
        return RolloutServiceStub(self._channel())  # type: ignore[no-untyped-call]  # generated


@contextlib.contextmanager
def _as_ours(call: str) -> Iterator[None]:
    """Raise as `Unavailable` what gRPC raises, and the cancelling of a call whose channel was closed beneath it."""
    where = f"rollout service, {call}"
    try:
        yield
    except grpc.aio.AioRpcError as e:
        raise Unavailable(f"{e.code().name}: {e.details() or 'no details'}", where=where) from e
    except asyncio.CancelledError as e:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is this task that shall end
        raise Unavailable("its channel was closed", where=where) from e
