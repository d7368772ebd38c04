"""Raw windows asked for on an alert's page: through a real gateway, a real agent, and the lake.

The device takes no models (no `trust`): the crew's orders reach it all the same.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from cloud.alerts.rules import raw_span
from cloud.alerts.types import Alert, IncomingAlert
from cloud.web.app import create_app
from cloud.web.rawdata import NOTHING_AFTER_S
from cloud.wiring import Cloud
from edge.recorder.found import held, load, nearest
from tests.cloud.running import QUICK, play, running
from tests.cloud.web.serving import serving
from tests.warm import Command

SITE = """device = "edge-1"
store = "store"
gateways = ["{gateway}"]
uplink.longest_retry_seconds = 0.1
flight.quota_bytes = 20_000_000
[[machine]]
name = "P-101"
source = {{ kind = "simulator", fault = "outer_race", seed = 3, life_seconds = 2500, speed = 0 }}
"""
YEAR_NS = 365 * 86_400 * 10**9


class Plant:
    """A device's folder, the cloud it speaks to, and its pages, whose clock a test may move."""

    def __init__(self, folder: Path) -> None:
        (folder / "store").mkdir()
        (folder / "cloud").mkdir()
        self.folder = folder
        self.cloud = Cloud(folder / "cloud", QUICK)
        self.later_ns = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.later_ns

    def start(self, gateway: str) -> Command:
        site = SITE.format(gateway=gateway)
        (self.folder / "site.toml").write_text(site)
        config = str(self.folder / "site.toml")
        return Command(self.folder / "log.txt", "edge", "run", "--config", config, "--stay")

    def said(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*m", "", (self.folder / "log.txt").read_text(errors="replace"))

    def waits(self, ready: Callable[[], bool], within_s: float = 40.0) -> None:
        end = time.monotonic() + within_s
        while not ready():
            assert time.monotonic() < end, self.said()[-4000:]
            time.sleep(0.03)

    def sent(self, number: int) -> list[dict[str, Any]]:
        rows = self.cloud.lake.rows("waveform").to_pylist()
        return [r for r in rows if r["source"] == f"flight/{number}"]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.cloud.close()


def test_raw_data_that_was_asked_for_while_the_device_was_away_comes_and_what_it_lost_is_told(plant: Plant) -> None:
    async def beside() -> None:
        async with running(plant.cloud, take_alert=plant.cloud.alerts.take) as gateway:
            await asyncio.to_thread(story, plant, gateway.address)

    play(beside(), within_s=120)


def story(plant: Plant, gateway: str) -> None:
    book = plant.cloud.alerts
    device = plant.start(gateway)
    plant.waits(lambda: bool(book.list(states=None)) and "source ended" in plant.said())
    assert device.stop() == 0, plant.said()
    first = min(book.list(states=None), key=lambda a: a.id)
    lost = book.get(book.take("demo", "edge-1", 9, 1, of_long_ago(first))).alert
    app = create_app(plant.cloud, clock=plant.now_ns)
    with serving(app) as url, httpx.Client(base_url=url, headers={"origin": url}, follow_redirects=True) as page:
        for alert in (first, lost):
            asked = page.post(f"/a/{alert.id}/raw", data={"tap": f"tap-{alert.id}", "name": "Ana"}).text
            page.post(f"/a/{alert.id}/raw", data={"tap": "another", "name": "Ben"})  # waits already: nothing new
            assert "The device did not hear it yet" in asked
            assert "Asked for by Ana" in asked
            assert 'id="raw-button"' not in asked
        device = plant.start(gateway)
        plant.waits(lambda: "recordings of raw data came" in page.get(f"/a/{first.id}").text)
        plant.waits(lambda: "none is held of that time" in plant.said())
        assert device.stop() == 0, plant.said()  # it delivers all it has first
        compare(plant, first)
        assert "60 recordings of raw data came" in page.get(f"/a/{first.id}").text
        assert "What it holds comes behind all else" in page.get(f"/a/{lost.id}").text
        plant.later_ns = int((NOTHING_AFTER_S + 60) * 1e9)
        nothing = page.get(f"/a/{lost.id}").text
        assert "Nothing came" in nothing
        assert 'id="raw-button"' in nothing
    assert [e.what for e in book.get(first.id).events].count("asked_raw") == 1


def of_long_ago(alert: Alert) -> IncomingAlert:
    said = alert.said
    return replace(said, key="P-101/long-ago", event_time_ns=said.event_time_ns - YEAR_NS)


def compare(plant: Plant, alert: Alert) -> None:
    """What is in the lake is what the recorder's files hold, within the scale, each once."""
    order = plant.cloud.alerts.raw_order(alert)
    assert order is not None
    there = held(plant.folder / "store" / "flight" / "P-101", *raw_span(alert.raised_ns))
    chosen = nearest(there, alert.raised_ns, most=60, most_samples=1 << 30)
    recorded = {window.time_ns: window for _, window in load(chosen, "P-101")}
    rows = plant.sent(order.id)
    assert len(recorded) == 60
    wanted = [(axis, at) for axis in ("horizontal", "vertical") for at in recorded]
    assert sorted((r["channel"], r["event_time_ns"]) for r in rows) == sorted(wanted)
    for row in rows:
        true = recorded[row["event_time_ns"]].samples[row["channel"]]
        said = np.asarray(row["values"], float) * row["scale"]
        assert np.abs(said - true).max() <= row["scale"] * 0.51
