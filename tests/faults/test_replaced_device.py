"""A device dies with its store. The one that takes its name and place goes on from what it had learned.

The real agent and the real gateway; the machine is the simulator's, healthy for device A, and failing when B comes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from cloud.gateway.server import Gateway
from cloud.wiring import Cloud
from edge import wire
from edge.agent import Agent, RunOptions
from edge.carry.copy import Copy, export_state, pack, unpack
from edge.config import EdgeConfig, RecordsConfig, UplinkConfig
from edge.outbox import Outbox
from edge.sensors.simulator import Simulator
from edge.sources import Source
from edge.types import Window
from edge.updater import Command
from forewarn.commands.device import device
from forewarn.commands.edge_offline import state
from models.errors import WrongUse
from tests.cloud.running import QUICK, eventually, play

HEALTHY, FAILING = 0, 880  # windows of a life of 1,000 from which on it is the one, or the other
EVERY_NS = 10 * 10**9
LEARNING = 30  # windows that make a healthy start
_END_S = 20.0


class Machine:
    """A machine that is heard live, a window every 10 s of its own time, as fast as it is listened to."""

    def __init__(self, now_ns: int, first: int, windows: int, before: dict[int, Callable[[], None]]) -> None:
        self._simulator = Simulator("P-101", 3, "outer_race", 10_000.0, speed=None)
        self.machine = self._simulator.machine
        self._first, self._windows = first, windows
        self._before = before
        self._now_ns = now_ns

    def windows(self) -> Iterator[Window]:
        for i in range(self._windows):
            self._before.get(i, lambda: None)()
            made = self._simulator.window(self._first + i)
            yield replace(made, time_ns=self._now_ns + i * EVERY_NS)

    def close(self) -> None:
        self._simulator.close()


class Plant:
    """A cloud, and devices of one name with stores of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = Cloud(folder, QUICK)
        self.alarms: list[str] = []
        self.address = "127.0.0.1:0"
        self._now_ns = time.time_ns() - 7200 * 10**9
        self.replacing: list[Agent] = []
        self.listening = threading.Event()  # whether the device that replaces another has heard half of a start

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[None]:
        """A gateway at the address that devices are given, to its end."""
        gateway = Gateway(QUICK, engine=self.cloud.engine, store=self.cloud.store, take_alert=self._take)
        self.address = await gateway.start(self.address)
        try:
            yield
        finally:
            await gateway.kill()

    def _take(self, site: str, device: str, epoch: int, sequence: int, alert: Any) -> int:
        self.alarms.append(alert.change)
        return len(self.alarms)

    def machine(self, first: int, windows: int, before: dict[int, Callable[[], None]] | None = None) -> Machine:
        """The machine from a window of its life on; its time goes on from sensor to sensor."""
        begins_ns, self._now_ns = self._now_ns, self._now_ns + windows * EVERY_NS
        return Machine(begins_ns, first, windows, before or {})

    def device(self, store: str, sensor: Machine, name: str = "edge-1", **records: Any) -> Agent:
        (self.folder / store).mkdir(exist_ok=True)
        config = EdgeConfig(
            device=name,
            store=str(self.folder / store),
            gateways=(self.address,) if self.address else (),
            records=RecordsConfig(spectrum_every_windows=0, snippet_samples=0, **records),
            uplink=UplinkConfig(longest_retry_seconds=0.1),
        )
        return Agent(config, [Source(sensor, replay=False, hurried=False)], RunOptions())

    async def hear(self, store: str, first: int, windows: int, **changes: Any) -> list[Any]:
        """One device from its first window to the last, all delivered; what it said in its log."""
        with capture_logs() as said:
            async with asyncio.timeout(_END_S):
                await self.device(store, self.machine(first, windows), **changes).run()
        return said

    async def replace(self, store: str, *, windows: int = 2 * LEARNING) -> list[Any]:
        """A device that is listening already when its answer comes, before the machine's start is learned."""

        def answered() -> None:
            self.listening.set()
            end = time.monotonic() + _END_S
            while self.replacing[0]._recall._learners:
                assert time.monotonic() < end, "no answer came"
                time.sleep(0.01)

        self.replacing.append(self.device(store, self.machine(FAILING, windows, {LEARNING // 2: answered})))
        with capture_logs() as said:
            async with asyncio.timeout(_END_S):
                await self.replacing[0].run()
        return said

    def exported(self, store: str) -> bytes:
        """What a device's store knows, as by hand."""
        outbox = Outbox(self.folder / store / "outbox.sqlite", gap=wire.gap_parcel)
        export_state(outbox, self.folder / f"{store}.state")
        outbox.close()
        return (self.folder / f"{store}.state").read_bytes()

    def copies(self) -> list[bool]:
        """Of each copy in the lake, the oldest first, whether its machine had learned."""
        rows = sorted(self.cloud.lake.rows("state").to_pylist(), key=lambda r: r["event_time_ns"])
        parts = [unpack(r["state"])[0].part("detector") for r in rows]
        return [all(c["z"] for c in msgspec.json.decode(p)["channels"].values()) for p in parts]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.cloud.close()


def test_a_device_of_the_same_name_goes_on_from_what_the_dead_one_had_learned(plant: Plant) -> None:
    async def story() -> None:
        async with plant.gateway():
            await plant.hear("a", HEALTHY, LEARNING)
            assert plant.copies() == [True]
            assert not plant.alarms
            said = await plant.replace("b")
            assert [s["event"] for s in said].count("going on from what an earlier device had learned") == 1
            assert "raised" in plant.alarms
            plant.alarms.clear()
            await plant.hear("c", FAILING, 2 * LEARNING, copy_every_hours=0.0)  # the floor: one that learns it
            assert not plant.alarms
            rows = plant.cloud.lake.rows("features").to_pylist()
            assert len(rows) == 2 * (1 + 2 + 2) * LEARNING  # nobody waited for anything: each window, both channels

    play(story())


def test_a_replacement_of_another_name_takes_the_clouds_copy_over_by_hand(plant: Plant) -> None:
    file, store = str(plant.folder / "edge-1.state"), str(plant.folder / "b")

    def command(group: click.Group, *arguments: str) -> str:
        done = CliRunner().invoke(group, arguments, catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    async def story() -> None:
        async with plant.gateway():
            await plant.hear("a", HEALTHY, LEARNING)
            said = await asyncio.to_thread(
                command, device, "state", "edge-1", "--data", str(plant.folder), "--out", file
            )
            assert "P-101, learned up to 20" in said
            await asyncio.to_thread(command, state, "import", file, "--store", store)
            await plant.hear("b", FAILING, LEARNING, name="edge-2")
            assert "raised" in plant.alarms

    play(story())
    with pytest.raises(WrongUse, match="no copy of what edge-9 at demo had learned"):
        command(device, "state", "edge-9", "--data", str(plant.folder), "--out", file)


def test_a_device_that_knows_its_machine_asks_nobody(plant: Plant) -> None:
    async def story() -> None:
        async with plant.gateway():
            await plant.hear("a", HEALTHY, LEARNING)
            said = await plant.hear("a", LEARNING, 5)
            assert not [s for s in said if s["event"] == "copies given"]
            assert plant.copies() == [True]

    play(story())


def test_after_a_repair_what_was_learned_before_does_not_come_back(plant: Plant) -> None:
    async def story() -> None:
        async with plant.gateway():
            repaired: list[Agent] = []

            def repair() -> None:
                repaired[0]._on_command(Command(id="1", kind="new_baseline", machine="P-101"))

            repaired.append(plant.device("a", plant.machine(HEALTHY, 2 * LEARNING, {LEARNING + 5: repair})))
            async with asyncio.timeout(_END_S):
                await repaired[0].run()
            assert plant.copies() == [True, False]
            said = await plant.replace("b")
            refused = [s for s in said if s["event"] == "copy of an earlier device not taken over, learning anew"]
            assert [s["reason"] for s in refused] == ["it was still learning"]
            assert not plant.alarms
            assert plant.copies() == [True, False, True]  # its own start is the one from now on

    play(story())


def test_a_device_listens_while_the_cloud_is_away_and_takes_the_copy_over_when_it_is_back(plant: Plant) -> None:
    async def story() -> None:
        async with plant.gateway():
            await plant.hear("a", HEALTHY, LEARNING)
        replacing = asyncio.create_task(plant.replace("b"))
        await eventually(lambda: plant.listening.is_set() and bool(plant.replacing[0]._recall._said))
        async with plant.gateway():
            said = await replacing
        events = [s["event"] for s in said]
        assert "nobody says what was learned before, learning meanwhile" in events
        assert "going on from what an earlier device had learned" in events
        assert "raised" in plant.alarms

    play(story())


def test_a_damaged_copy_is_never_taken_over(plant: Plant) -> None:
    async def story() -> None:
        async with plant.gateway():
            await plant.hear("a", HEALTHY, LEARNING)
            (segment,) = plant.cloud.lake.segments("state")
            file = plant.folder / "store" / segment.path
            file.chmod(0o600)
            file.write_bytes(file.read_bytes()[:-1] + b"\x00")
            said = await plant.hear("b", FAILING, 2 * LEARNING)
        refused = [s for s in said if s["event"] == "recall refused"]
        assert refused
        assert "not those that were stored" in refused[0]["reason"]
        assert not plant.alarms  # it learned anew

    play(story())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda copy: copy[:-1], "was changed or damaged"),
        (lambda copy: b"not a copy", "is no exported state"),
        (lambda copy: pack(torn(copy)), "3 features where 16 are tracked"),  # another version's
    ],
)
def test_a_copy_that_cannot_be_read_is_one_line_in_the_log_and_the_device_learns_anew(
    plant: Plant, damage: Callable[[bytes], bytes], said: str
) -> None:
    async def story() -> None:
        plant.address = ""
        agents: list[Agent] = []

        def answer() -> None:
            agents[0]._on_copy("P-101", damage(plant.exported("a")))

        await plant.hear("a", HEALTHY, LEARNING)
        agents.append(plant.device("b", plant.machine(FAILING, LEARNING, {5: answer})))
        with capture_logs() as logged:
            await agents[0].run()
        lines = [s for s in logged if "copy of an earlier device" in s["event"]]
        assert len(lines) == 1
        assert said in lines[0]["reason"]
        channels = msgspec.json.decode(unpack(plant.exported("b"))[0].part("detector"))["channels"]
        assert all(not any(channel["z"]) for channel in channels.values())  # its own start, just learned

    play(story())


def torn(copy: bytes) -> Copy:
    """A copy of a version that tracked three features."""
    (whole,) = unpack(copy)
    detector = msgspec.json.decode(whole.part("detector"))
    for channel in detector["channels"].values():
        channel["z"] = [0.0] * 3
    return msgspec.structs.replace(whole, parts=whole.parts | {"detector/P-101": msgspec.json.encode(detector)})
