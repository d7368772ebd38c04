from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge.updater import Assigned, Command
from edge.updater.slots import Slots
from models.bundle import unpack
from tests.edge.updater.conftest import PARTS, Site, data_of
from tests.edge.updater.device import Device

Open = Callable[..., Device]


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def children() -> list[int]:
    """The process ids of the trials that run now."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it ended while we looked
            if "edge.updater.child" in process.cmdline():
                found.append(process.pid)
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.updater.service.SHORTEST_RETRY_S", 0.01)


def test_a_promoted_bundle_is_tried_switched_to_and_reported(site: Site, open_device: Open, tmp_path: Path):
    async def story() -> None:
        name = site.champion("b-1")
        async with open_device() as device:
            assert await device.told(name) == (name, True, "")
            assert device.runs == name
            (path,) = device.loaded
            assert path.read_bytes() == data_of(name)
            assert Slots(tmp_path / "slots").current("bearing")[1] == path
        assert children() == []

    run(story())


def test_what_the_slot_holds_is_loaded_without_the_network(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        async with open_device() as device:
            await device.told("b-1")
        again = open_device()
        again.link.failures = 10**6
        again.updater.load_current()
        assert again.runs == "b-1"
        assert unpack(again.loaded[0].read_bytes()).manifest.name == "b-1"
        async with again:  # and it does not load it twice, nor try again what it runs
            assert await again.told("b-1") == ("b-1", True, "")
        assert len(again.loaded) == 1

    run(story())


def test_a_changed_byte_is_refused_the_old_model_serves_and_the_true_bytes_mend_it(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        async with open_device() as device:
            await device.told("b-1")
            site.champion("b-2")
            device.link.tamper = lambda path, data: flip(data, 9000) if path.startswith("targets/") else data
            bundle, running, reason = await device.told("b-2")
            assert (bundle, running) == ("b-2", False)
            assert "not the bytes that were signed" in reason
            assert (device.runs, len(device.loaded)) == ("b-1", 1)
            device.link.tamper = lambda _path, data: data
            await device.reported("b-2", running=True)
            assert device.runs == "b-2"

    run(story())


def test_older_metadata_is_recognised_after_a_restart(site: Site, open_device: Open, tmp_path: Path):
    async def story() -> None:
        site.champion("b-1")
        old = site.copy_files(tmp_path / "old")
        site.champion("b-2")
        async with open_device() as device:
            await device.told("b-2")
        async with open_device(old) as device:
            _, running, reason = await device.told("b-1")
            assert not running
            assert "older signed state" in reason
            assert device.runs == "b-2"

    run(story())


def test_a_bundle_whose_proof_fails_here_is_refused_for_good(site: Site, open_device: Open):
    async def story() -> None:
        wrong = PARTS.with_manifest(name="b-2").with_golden(features=PARTS.golden.features * 1.01).pack()
        site.champion("b-1")
        async with open_device() as device:
            await device.told("b-1")
            site.champion("b-2", wrong)
            _, running, reason = await device.told("b-2")
            assert not running
            assert "golden feature rms@1" in reason
            fetched = len(device.link.fetched)
            assert await device.told("b-2") == ("b-2", False, reason)
            assert len(device.link.fetched) == fetched, "it is not downloaded again"
            assert device.runs == "b-1"

    run(story())


def test_going_back_to_the_last_bundle_needs_no_download(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        async with open_device() as device:
            await device.told("b-1")
            await device.told(site.champion("b-2"))
            device.link.fetched.clear()
            begin = time.monotonic()
            assert await device.told(site.registry.rollback("bearing")) == ("b-1", True, "")
            assert time.monotonic() - begin < 10, "fault table: rollback within 10 s"
            assert not [path for path in device.link.fetched if path.startswith("targets/")]
            assert device.loaded[-1].read_bytes() == data_of("b-1")

    run(story())


def test_a_model_is_only_taken_away_by_signed_metadata(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        async with open_device() as device:
            await device.told("b-1")
            _, running, reason = await device.told("")
            assert not running
            assert "b-1 is assigned" in reason
            assert (device.runs, device.withdrawn) == ("b-1", [])
            site.registry.block("b-1")
            assert await device.told("") == ("", True, "")
            assert (device.runs, device.withdrawn) == ("", ["bearing"])
        again = open_device()
        again.updater.load_current()
        assert again.loaded == []

    run(story())


def test_a_bundle_that_the_agent_refuses_leaves_the_old_one_in_its_slot(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        async with open_device() as device:
            await device.told("b-1")
            device.refuse = True
            assert await device.told(site.champion("b-2")) == ("b-2", False, "the agent cannot load it")
            assert device.runs == "b-1"
        again = open_device()
        again.updater.load_current()
        assert again.runs == "b-1"

    run(story())


def test_a_link_that_was_down_is_tried_again_by_itself(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        device = open_device()
        device.link.failures = 2
        async with device:
            assert await device.told("b-1") == ("b-1", True, "")
            assert device.link.failures == 0

    run(story())


def test_stopping_in_a_download_leaves_no_process_and_the_old_model(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        device = open_device()
        device.link.hang_on = "targets/"
        async with device:
            device.link.orders.put_nowait(Assigned("bearing", "b-1"))
            await asyncio.wait_for(device.link.hanging.wait(), 20)
            assert len(children()) == 1
            begin = time.monotonic()
        assert time.monotonic() - begin < 5
        async with asyncio.timeout(5):
            while children():
                await asyncio.sleep(0.01)
        assert device.loaded == []

    run(story())


def test_a_trial_that_takes_too_long_is_ended(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        device = open_device(trial_seconds=2.0)
        device.link.hang_on = "metadata/timestamp"
        async with device:
            device.link.orders.put_nowait(Assigned("bearing", "b-1"))
            await asyncio.wait_for(device.link.hanging.wait(), 20)
            device.link.hang_on = ""
            device.updater._trial_s = 20.0  # a good trial may be slow on a busy machine
            assert await device.reported("b-1", running=True) == ("b-1", True, "")

    run(story())


def test_a_trial_that_dies_three_times_is_the_bundles_fault(site: Site, open_device: Open):
    async def story() -> None:
        site.champion("b-1")
        device = open_device()

        def kill(path: str, data: bytes) -> bytes:
            if path.startswith("targets/"):
                for child in children():
                    os.kill(child, 9)
            return data

        device.link.tamper = kill
        async with device:
            device.link.orders.put_nowait(Assigned("bearing", "b-1"))
            await device.reports(3)
            assert [r[:2] for r in device.link.reports] == [("b-1", False)] * 3
            assert "SIGKILL" in device.link.reports[-1][2]
            fetched = len(device.link.fetched)
            await device.told("b-1")
            assert len(device.link.fetched) == fetched

    run(story())


def test_the_crews_answers_reach_the_agent(open_device: Open):
    async def story() -> None:
        device = open_device()
        heard: asyncio.Queue[Command] = asyncio.Queue()
        device.updater._on_command = heard.put_nowait
        command = Command(id="7", kind="acknowledge", machine="P-101", alert_key="k")
        async with device:
            device.link.orders.put_nowait(command)
            assert await asyncio.wait_for(heard.get(), 5) == command

    run(story())
