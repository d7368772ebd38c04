"""The same records through every pair of catalogue and store, by two gateways at once: each is stored once."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import grpc.aio
import pytest

from cloud.config import CloudConfig, S3Config
from cloud.lake.compaction import Compactor
from cloud.wiring import Cloud, open_cloud
from tests.cloud.gateway.device import Device
from tests.cloud.running import assert_exactly, eventually, in_lake, play, running
from tests.edge.device_simulator import DeviceSimulator
from tests.faults.history import in_cloud, remembered, violations
from tests.soak import Gateway


@pytest.fixture(params=["sqlite and folder", "postgres and s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    config = CloudConfig(segment_seconds=0.05, compact_seconds=0)
    if request.param == "postgres and s3":
        postgres, s3 = request.getfixturevalue("postgres"), request.getfixturevalue("s3")
        monkeypatch.setenv("FOREWARN_S3_SECRET", s3.secret_key)
        bucket = S3Config(
            endpoint=s3.endpoint,
            bucket=s3.create_bucket(),
            access_key=s3.access_key,
            region=s3.region,
            secure=False,
        )
        config = CloudConfig(
            segment_seconds=0.05, compact_seconds=0, database=str(postgres.create_database()), s3=bucket
        )
    return Cloud(tmp_path, config)


def test_two_gateways_and_devices_that_hop_between_them_store_each_record_once(opened: Cloud):
    async def story() -> None:
        async with running(opened) as one, running(opened) as two:
            senders = [Device(f"edge-{n}") for n in range(2)]
            for _ in range(6):
                for sender in senders:
                    sender.make_many(4, 20)
                    async with sender.connect(one.address) as a, sender.connect(two.address) as b:
                        await a.greet()
                        await b.greet()
                        # the one at `a` is fenced, for the device is at the other gateway now
                        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                            await asyncio.gather(a.send(*sender.kept.values()), b.send(*sender.kept.values()))
                            await a.until(lambda s=sender: s.done or s.received.contains(s.head))
            await asyncio.gather(*(s.deliver(a.address) for s, a in zip(senders, (one, two), strict=True)))
            await one.gateway.stop(within_s=5)
            await two.gateway.stop(within_s=5)
        for sender in senders:
            assert_exactly(opened, sender.name, 7, range(1, 481))
        before = in_lake(opened)
        assert Compactor("demo", opened.engine, opened.store).compact(fan_in=2) > 1
        assert in_lake(opened) == before
        opened.close()

    play(story())


def test_devices_move_over_when_one_of_two_gateway_processes_is_killed_under_load(postgres, s3, tmp_path: Path):
    """Row 15, by the commands that a plant runs: two processes over PostgreSQL and S3, killed in turn with SIGKILL."""
    data = tmp_path / "cloud"
    data.mkdir()
    (data / "secret").write_text(s3.secret_key)
    (data / "cloud.toml").write_text(
        f"""segment_seconds = 0.05
compact_seconds = 1
database = "{postgres.create_database()}"
[s3]
endpoint = "{s3.endpoint}"
bucket = "{s3.create_bucket()}"
access_key = "{s3.access_key}"
secret_file = "secret"
region = "{s3.region}"
secure = false
"""
    )
    gateways = [Gateway(data), Gateway(data)]
    addresses = [g.address for g in gateways]
    names = ("edge-0", "edge-1")
    devices = [DeviceSimulator(tmp_path / n, addresses[i:] + addresses[:i], name=n) for i, n in enumerate(names)]
    try:
        for device in devices:
            device.connect()
        for n, victim in enumerate(gateways):
            for step in range(40):
                for device in devices:
                    device.append(5, start=5 * (40 * n + step))
                if step == 20:
                    devices[0].raise_alarm(f"P-101/{n}")
                    victim.kill()
            play(eventually(lambda: not any(d.outbox.kept_bytes for d in devices), within_s=50))
            victim.start()
    finally:
        for one in (*devices, *gateways):
            one.close()
    cloud = open_cloud(data)
    memories = {name: remembered(name, tmp_path / name / "outbox.sqlite") for name in names}
    assert violations(memories, in_cloud(cloud), at_rest=True) == []
    assert [len(m.used) for m in memories.values()] == [402, 400]
    cloud.close()
