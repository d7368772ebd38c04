"""Row 30: a store without room. Nothing is said to be stored, every wait ends, and with room all is stored once."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.catalogue.access import reading
from cloud.catalogue.tables import segment
from cloud.config import CloudConfig, S3Config
from cloud.lake.gc import ORPHAN_NS, collect
from cloud.wiring import Cloud
from tests.cloud.gateway.device import Device
from tests.cloud.running import assert_exactly, eventually, play, running


@dataclass
class Full:
    """A cloud whose store can be made full and be given room again."""

    cloud: Cloud
    fill: Callable[[], None]
    empty: Callable[[], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Full]:
    """A folder on a file system of 200 kB, and a file that takes all that is left of it."""
    store = tmp_path / "store"
    store.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", store], capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    ballast = store / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # a buffer would fail at its close
            while file.write(bytes(200 << 10)):
                pass

    cloud = Cloud(tmp_path, CloudConfig(segment_seconds=0.05, compact_seconds=0))
    yield Full(cloud, fill, ballast.unlink)
    cloud.close()
    subprocess.run(["umount", store], check=True)


@pytest.fixture
def bucket(s3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Full]:
    """A bucket of the real server, whose puts hang while it is full."""
    monkeypatch.setenv("FOREWARN_S3_SECRET", s3.secret_key)
    name = s3.create_bucket()
    store = S3Config(
        endpoint=s3.endpoint,
        bucket=name,
        access_key=s3.access_key,
        region=s3.region,
        secure=False,
        timeout_seconds=0.5,
    )
    cloud = Cloud(tmp_path, CloudConfig(segment_seconds=0.05, compact_seconds=0, s3=store))
    yield Full(cloud, lambda: s3.fill(name), s3.empty)
    s3.empty()
    cloud.close()


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_a_full_store_is_told_as_such_and_all_is_stored_once_when_there_is_room(kind: str, request):
    full: Full = request.getfixturevalue(kind)
    cloud = full.cloud

    async def story() -> None:
        async with running(cloud, config=cloud.config) as gateway:
            sender = Device()
            sender.make_many(4, 20)
            await sender.deliver(gateway.address)
            await asyncio.to_thread(full.fill)
            sender.make_many(4, 20)
            delivered = asyncio.create_task(sender.deliver(gateway.address, within_s=60))
            retries = gateway.gateway.metrics.retries._value
            await eventually(lambda: retries.get() >= 2, within_s=40)
            assert list(sender.stored) == [(1, 80)]
            await asyncio.to_thread(full.empty)
            await delivered
        assert_exactly(cloud, "edge-1", 7, range(1, 161))

    play(story(), within_s=100)
    # what hung may have arrived after its writer had given it up: it is waste, and goes
    collect(cloud.engine, cloud.store, "demo", older_than_ns=0, now_ns=lambda: time.time_ns() + 2 * ORPHAN_NS)
    with reading(cloud.engine) as connection:
        assert set(cloud.store.list("lake/")) == set(connection.scalars(select(segment.c.path)))
    assert_exactly(cloud, "edge-1", 7, range(1, 161))
