"""The whole way of a model: registry, catalogue, gateway, gRPC, trial, slot, report."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc.aio
from sqlalchemy import select

from cloud.catalogue.access import reading
from cloud.catalogue.tables import device
from cloud.config import CloudConfig
from cloud.gateway.server import Gateway
from edge.updater import Updater
from edge.updater.client import RolloutClient
from models.bundle import unpack
from tests.edge.updater.conftest import Site


def test_a_promote_and_a_rollback_reach_a_device_within_seconds(tmp_path: Path, site: Site):
    async def story() -> None:
        config = CloudConfig(enterprise="acme", segment_seconds=0.1, compact_seconds=0.0)
        gateway = Gateway(config, engine=site.engine, store=site.store, take_alert=lambda *_: 0)
        address = await gateway.start("127.0.0.1:0")
        loaded: list[str] = []
        async with grpc.aio.insecure_channel(address) as channel:
            names = {"enterprise": "acme", "site": "north", "device": "d-1", "machine_classes": ["bearing"]}
            updater = Updater(
                RolloutClient(lambda: channel, **names),
                tmp_path / "slots",
                site.registry.trust_root,
                lambda path: loaded.append(unpack(path.read_bytes()).manifest.name),
                machine_classes=["bearing"],
            )
            task = asyncio.create_task(updater.run())
            begin = time.monotonic()
            await asyncio.to_thread(site.champion, "b-1")
            await reported(site, "b-1")
            await asyncio.to_thread(site.champion, "b-2")
            await reported(site, "b-2")
            await asyncio.to_thread(site.registry.rollback, "bearing")
            await reported(site, "b-1")
            assert time.monotonic() - begin < 30
            assert loaded == ["b-1", "b-2", "b-1"]
            task.cancel()
            await asyncio.wait([task], timeout=10)
        await gateway.stop(within_s=2)

    asyncio.run(asyncio.wait_for(story(), 60))


async def reported(site: Site, bundle: str) -> None:
    """Wait until the catalogue says that the device runs `bundle`."""
    query = select(device.c.running_bundle, device.c.bundle_state)
    async with asyncio.timeout(20):
        while True:
            with reading(site.engine) as connection:
                if (bundle, "running") in [tuple(row) for row in connection.execute(query)]:
                    return
            await asyncio.sleep(0.05)
