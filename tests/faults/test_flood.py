"""Row 18: devices that flood, never listen or only hold a stream open, and an honest one beside them."""

from __future__ import annotations

import asyncio
import contextlib

import grpc.aio
import msgspec

from cloud.wiring import Cloud
from tests.cloud.conftest import opened  # noqa: F401 - the fixture of an empty cloud
from tests.cloud.gateway.device import Device, batch
from tests.cloud.running import QUICK, Running, assert_exactly, eventually, play, running

PENDING, ONE_DEVICE = 1_000_000, 200_000
CONFIG = msgspec.structs.replace(QUICK, pending_bytes=PENDING, device_bytes=ONE_DEVICE)
IDLE = 200


async def flood(gateway: Running, name: str) -> None:
    """Send as fast as the link takes it, whatever the credit, and never read an answer."""
    device = Device(name)
    async with device.connect(gateway.address) as connection:
        await connection.greet()
        first = 1
        while True:
            await connection.send(batch(first, 500))
            first += 500


def test_beside_a_flood_memory_is_bounded_and_an_honest_device_is_served(opened: Cloud):  # noqa: F811
    most = {"all": 0, "one": 0}

    def look(gateway: Running) -> None:
        intakes = gateway.gateway._intakes._by_stream.values()
        most["all"] = max(most["all"], gateway.gateway.budget.used)
        most["one"] = max(most["one"], *(i.budget.used for i in intakes if i.stream.device.startswith("flood")))

    async def story() -> None:
        honest = Device("honest")
        async with running(opened, config=CONFIG) as gateway, contextlib.AsyncExitStack() as stack:
            for n in range(IDLE):
                idle = await stack.enter_async_context(Device(f"idle-{n}").connect(gateway.address))
                await idle.greet()
            floods = [asyncio.create_task(flood(gateway, f"flood-{n}")) for n in range(3)]
            await eventually(lambda: gateway.gateway.budget.used > ONE_DEVICE)
            async with honest.connect(gateway.address) as connection:
                await connection.greet()
                for _ in range(30):
                    await connection.send(honest.make(10))
                    await connection.until(lambda: honest.done, within_s=30)
                    look(gateway)
            assert not any(f.done() for f in floods), "the flood went on to the end"
            for one in floods:
                one.cancel()
            await asyncio.gather(*floods, return_exceptions=True)
            assert len(gateway.gateway._intakes) >= IDLE, "nobody lost its stream"

    with contextlib.suppress(grpc.aio.AioRpcError):  # the idle streams end with the gateway
        play(story())
    assert 0 < most["one"] <= ONE_DEVICE
    assert most["all"] <= PENDING
    assert_exactly(opened, "honest", 7, range(1, 301))
