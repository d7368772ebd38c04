from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
import pytest

from edge.updater import Assigned, Command
from edge.updater.client import RolloutClient
from models.errors import Unavailable
from protos.forewarn.rollout.v1 import rollout_pb2 as wire
from protos.forewarn.rollout.v1.rollout_pb2_grpc import RolloutServiceServicer, add_RolloutServiceServicer_to_server


class Service(RolloutServiceServicer):
    """Answers what a gateway may answer, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def Watch(self, request, context):
        self.asked.append(request)
        yield wire.WatchResponse(assignment=wire.Assignment(bundle="b-1", machine_class="bearing"))
        yield wire.WatchResponse(command=wire.Command(id="1", kind=99, machine="of another version"))
        kind = wire.COMMAND_KIND_ACKNOWLEDGE
        yield wire.WatchResponse(command=wire.Command(id="2", kind=kind, machine="P-101", alert_key="k"))
        yield wire.WatchResponse()

    async def Fetch(self, request, context):
        if request.path == "metadata/9.root.json":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such file")
        if request.path == "metadata/down":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the store is down")
        yield wire.FetchResponse(chunk=b"ab")
        yield wire.FetchResponse(chunk=b"c")

    async def Report(self, request, context):
        self.asked.append(request)
        return wire.ReportResponse()


def with_client(story: Callable[[RolloutClient, Service], Awaitable[None]]) -> None:
    async def run() -> None:
        server, service = grpc.aio.server(), Service()
        add_RolloutServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            names = {"enterprise": "acme", "site": "north", "device": "d-1", "machine_classes": ["bearing"]}
            await story(RolloutClient(lambda: channel, **names), service)
        await server.stop(None)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_assignments_and_commands_arrive_and_what_is_not_known_is_passed_over():
    async def story(client: RolloutClient, service: Service) -> None:
        assert [order async for order in client.watch("b-0")] == [
            Assigned("bearing", "b-1"),
            Command(id="2", kind="acknowledge", machine="P-101", alert_key="k"),
        ]
        (asked,) = service.asked
        assert (asked.enterprise, asked.site, asked.device) == ("acme", "north", "d-1")
        assert (list(asked.machine_classes), asked.running_bundle) == (["bearing"], "b-0")

    with_client(story)


def test_a_file_comes_in_chunks_and_a_missing_one_is_told_from_a_failing_store():
    async def story(client: RolloutClient, service: Service) -> None:
        assert [chunk async for chunk in client.fetch("targets/x")] == [b"ab", b"c"]
        with pytest.raises(KeyError):
            await anext(client.fetch("metadata/9.root.json"))
        with pytest.raises(Unavailable, match="the store is down"):
            await anext(client.fetch("metadata/down"))

    with_client(story)


def test_a_report_says_what_runs_or_why_not():
    async def story(client: RolloutClient, service: Service) -> None:
        await client.report("b-1", running=True)
        await client.report("b-2", running=False, reason="x" * 5000)
        first, second = service.asked
        assert (first.bundle, first.state, first.reason) == ("b-1", wire.BUNDLE_STATE_RUNNING, "")
        assert (second.bundle, second.state, len(second.reason)) == ("b-2", wire.BUNDLE_STATE_REFUSED, 1000)

    with_client(story)


def test_a_gateway_that_is_away_is_unavailable_in_every_call():
    async def run() -> None:
        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            client = RolloutClient(lambda: channel, enterprise="a", site="s", device="d", machine_classes=["bearing"])
            for call in (anext(client.watch("")), anext(client.fetch("targets/x")), client.report("b", running=True)):
                with pytest.raises(Unavailable):
                    await call

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_watch_whose_channel_is_closed_beneath_it_ends_as_any_outage_does():
    """A renewed certificate closes the old channel; gRPC cancels its calls, which must not end the watching task."""

    class Silent(Service):
        async def Watch(self, request, context):
            yield wire.WatchResponse(assignment=wire.Assignment(bundle="b-1", machine_class="bearing"))
            await asyncio.Event().wait()

    async def story() -> None:
        server = grpc.aio.server()
        add_RolloutServiceServicer_to_server(Silent(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        names = {"enterprise": "acme", "site": "north", "device": "d-1", "machine_classes": ["bearing"]}
        orders = RolloutClient(lambda: channel, **names).watch("")
        await anext(orders)
        next_one = asyncio.ensure_future(anext(orders))
        await asyncio.sleep(0)  # it waits
        await channel.close(grace=None)
        with pytest.raises(Unavailable, match="its channel was closed"):
            await next_one
        await server.stop(None)

    asyncio.run(asyncio.wait_for(story(), 20))
