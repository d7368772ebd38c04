"""Asking what an earlier device had learned: again until answered, never longer than it is of use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from edge.uplink import Identity, Recall
from edge.uplink.recall import LARGEST_BYTES
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import (
    TelemetryServiceServicer,
    add_TelemetryServiceServicer_to_server,
)

ME = Identity(enterprise="demo", site="hall", device="edge-1")


class Learning:
    """A machine that is learning until it is told not to be."""

    def __init__(self) -> None:
        self.asking = True


class Gateway(TelemetryServiceServicer):
    """Answers each call in its turn; the last answer is given again."""

    def __init__(self, *answers: Callable[[pb.RecallRequest, Any], AsyncIterator[pb.RecallResponse]]) -> None:
        self._answers = list(answers)
        self.asked: list[pb.RecallRequest] = []

    async def Recall(self, request: pb.RecallRequest, context: Any) -> AsyncIterator[pb.RecallResponse]:
        self.asked.append(request)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        async for piece in answer(request, context):
            yield piece


@asynccontextmanager
async def served(service: TelemetryServiceServicer) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    add_TelemetryServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(grace=None)


async def pieces(request: pb.RecallRequest, context: Any) -> AsyncIterator[pb.RecallResponse]:
    yield pb.RecallResponse(machine="P-101", data=b"what was ")
    yield pb.RecallResponse(machine="P-101", data=b"learned", last=True)


async def broken_off(request: pb.RecallRequest, context: Any) -> AsyncIterator[pb.RecallResponse]:
    yield pb.RecallResponse(machine="P-101", data=b"what was ")
    await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")


async def endless(request: pb.RecallRequest, context: Any) -> AsyncIterator[pb.RecallResponse]:
    while True:
        yield pb.RecallResponse(machine="P-101", data=bytes(LARGEST_BYTES // 8))


async def silent(request: pb.RecallRequest, context: Any) -> AsyncIterator[pb.RecallResponse]:
    await asyncio.Event().wait()
    yield pb.RecallResponse()


async def asked(service: TelemetryServiceServicer, *, learned: Callable[[], bool] = lambda: False) -> dict[str, bytes]:
    """What two learning machines are given by the time nobody asks any more."""
    given: dict[str, bytes] = {}
    machines = {name: Learning() for name in ("P-101", "P-102")}

    async def until_learned() -> None:
        while not learned():
            await asyncio.sleep(0.01)
        for machine in machines.values():
            machine.asking = False

    async with served(service) as channel, asyncio.timeout(10):
        recall = Recall(
            lambda: channel, ME, list(machines.items()), given.__setitem__, longest_retry_s=0.05, call_s=0.3
        )
        learning = asyncio.create_task(until_learned())
        await recall.run()
        learning.cancel()
    return given


def test_copies_come_in_pieces_and_one_answer_is_enough() -> None:
    gateway = Gateway(pieces)
    assert asyncio.run(asked(gateway)) == {"P-101": b"what was learned"}
    (request,) = gateway.asked
    assert list(request.machines) == ["P-101", "P-102"]
    assert (request.enterprise, request.site, request.device) == ("demo", "hall", "edge-1")


@pytest.mark.parametrize("first", [broken_off, endless, silent])
def test_an_answer_that_breaks_off_or_never_ends_is_none_and_it_is_asked_again(first: Any) -> None:
    gateway = Gateway(first, pieces)
    assert asyncio.run(asked(gateway)) == {"P-101": b"what was learned"}
    assert len(gateway.asked) == 2


def test_an_older_gateway_is_told_of_once_and_asked_no_longer_than_the_machines_learn() -> None:
    class Older(TelemetryServiceServicer):
        """Knows the stream alone."""

    with capture_logs() as said:
        assert asyncio.run(asked(Older(), learned=lambda: len(said) > 0)) == {}
    assert ["UNIMPLEMENTED" in s["reason"] for s in said] == [True]
