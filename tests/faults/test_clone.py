"""Row 11: a device that was copied with its store. Its holders fence each other, it is told, and nothing is mixed."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud import health
from cloud.wiring import Cloud
from tests.cloud.running import QUICK, in_lake, play, running
from tests.edge.device_simulator import DeviceSimulator

COMMON = 30


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path / "cloud", QUICK)
    (tmp_path / "cloud").mkdir()
    yield cloud
    cloud.close()


def until(true: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def delivered(*devices: DeviceSimulator) -> Callable[[], bool]:
    return lambda: all(d.outbox.kept_bytes == 0 for d in devices)


def said(cloud: Cloud) -> str:
    facts = health.look(cloud.engine, cloud.store, cloud.enterprise, time.time_ns())
    return " ".join(problem.what for problem in health.judge(facts))


def test_a_copied_device_is_told_and_its_holders_are_never_mixed(opened: Cloud, tmp_path: Path):
    def story(address: str) -> None:
        original = DeviceSimulator(tmp_path / "original", [address])
        original.append(COMMON)
        original.connect()
        until(delivered(original))
        original.close()
        shutil.copytree(tmp_path / "original", tmp_path / "copy")
        holders = {start: DeviceSimulator(tmp_path / name, [address]) for name, start in HOLDERS.items()}
        for start, holder in holders.items():
            holder.raise_alarm(f"P-101/{start}")  # both under the number 31
            holder.append(5, start=start)
            holder.connect()
        until(delivered(*holders.values()))
        for more in range(1, 50):
            for start, holder in holders.items():
                holder.append(1, start=start + 4 + more)
            until(delivered(*holders.values()))
            if "cloned: demo/dev-1" in said(opened):
                break
        for holder in holders.values():
            holder.close()
        assert "cloned: demo/dev-1" in said(opened)

    async def beside() -> None:
        async with running(opened, take_alert=opened.alerts.take) as gateway:
            await asyncio.to_thread(story, gateway.address)

    play(beside())
    assert set(in_lake(opened).values()) == {1}
    by_epoch: dict[int, set[str]] = {}
    contents = set()
    for row in opened.lake.rows("features").to_pylist():
        contents.add(row["rms@1"])
        if row["rms@1"] >= COMMON:
            by_epoch.setdefault(row["epoch"], set()).add("copy" if row["rms@1"] >= HOLDERS["copy"] else "original")
    assert all(len(holders) == 1 for holders in by_epoch.values()), by_epoch
    assert {*range(COMMON), *(s + i for s in HOLDERS.values() for i in range(5))} <= contents
    assert {a.said.key for a in opened.alerts.list(states=None)} == {f"P-101/{s}" for s in HOLDERS.values()}


HOLDERS = {"original": 1000, "copy": 2000}  # what each measures begins there, so that a mix-up shows
