"""Real servers that die in mid-stream and come back: no acknowledgement meanwhile, everything once afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cloud.config import CloudConfig, S3Config
from cloud.wiring import Cloud
from tests.cloud.gateway.device import Device
from tests.cloud.running import assert_exactly, play, running


def test_a_gateway_outlives_its_object_store_and_its_database(postgres, s3, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("FOREWARN_S3_SECRET", s3.secret_key)
    store = S3Config(
        endpoint=s3.endpoint,
        bucket=s3.create_bucket(),
        access_key=s3.access_key,
        region=s3.region,
        secure=False,
        timeout_seconds=2.0,
    )
    config = CloudConfig(segment_seconds=0.05, compact_seconds=0, database=str(postgres.create_database()), s3=store)
    opened = Cloud(tmp_path, config)

    async def story() -> None:
        async with running(opened, config=config) as gateway:
            sender = Device()
            for server, stop in ((s3, lambda: s3.kill("rgw")), (postgres, postgres.kill)):
                sender.make_many(4, 20)
                await sender.deliver(gateway.address)
                before = len(sender.stored)
                await asyncio.to_thread(stop)
                try:
                    sender.make_many(4, 20)
                    delivered = asyncio.create_task(sender.deliver(gateway.address, within_s=120))
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(asyncio.shield(delivered), 0.5)
                    assert len(sender.stored) == before
                finally:
                    await asyncio.to_thread(server.start)
                await delivered
        assert_exactly(opened, "edge-1", 7, range(1, 321))
        opened.close()

    play(story(), within_s=240)  # two servers start again, maybe on a busy machine
