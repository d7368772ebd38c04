"""1,000 agents on one gateway: how long an alarm takes from its window to the cloud's answer, on the device again.

Each agent is the real one from the features on: detector, keeper, outbox on disk, uplink over a connection of its own,
a window every ten seconds. Sensors, features and ONNX Runtime are left out, and many agents share a process and its
sampling thread, because a whole agent takes 90 MB. Each machine goes bad once, at a time of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import structlog

from benchmarks.load import COLUMNS, cpu_s, gateway
from edge import records, wire
from edge.detection import Detector
from edge.detection.config import DetectionConfig
from edge.machine.keeper import Keeper
from edge.machine.ledger import Ledger
from edge.monitoring.meter import Meter
from edge.outbox import Kept, Outbox, Parcel, Range, covers
from edge.types import Channel, ChannelKind, FeatureRow, Kind, Machine, Schema, Window
from edge.uplink import Identity, Link, Uplink
from models.certificates import Material

AGENTS = 1000
PROCESSES = 4
EVERY_S = 10.0  # between two windows of one agent
SECONDS = 30.0  # of windows
ASKED_P99_S = 2.0
CONNECT_S = 120.0
_LAST_S = 20.0  # for the last alarms
_SCHEMA = Schema(COLUMNS, ("",) * len(COLUMNS))
# One window is enough for an alarm, so that its way and not the on-delay is measured.
_DETECTION = DetectionConfig(smoothing_windows=1.0, on_delay_windows=1)


class OwnConnection(Link):
    """A link whose channel shares its connection with no other agent of the process."""

    def _open(self, material: Material | None) -> grpc.aio.Channel:
        key = (self.address, material)
        if key not in self._channels:
            own = [("grpc.use_local_subchannel_pool", 1)]
            self._channels[key] = grpc.aio.insecure_channel(self.address, options=own)
        return self._channels[key]


class Stopwatch(Ledger):
    """Notes when an alarm was kept under which number, and when the cloud had it."""

    def __init__(self) -> None:
        super().__init__(None)
        self.begun_s = 0.0  # when the window with the alarm was taken
        self.sequence = 0
        self.seconds: float | None = None

    def note(self, kept: Kept, parcels: Sequence[Parcel]) -> None:
        """An append has returned."""
        if not self.sequence and parcels[0].kind is Kind.ALERT:
            self.sequence = kept.first

    def stored(self, ranges: Iterable[Range]) -> None:
        """The cloud has these."""
        if self.sequence and self.seconds is None and covers(list(ranges), self.sequence, self.sequence):
            self.seconds = time.monotonic() - self.begun_s


class WatchedOutbox(Outbox):
    """The outbox, which tells a stopwatch what is stored."""

    stopwatch: Stopwatch

    def stored(self, epoch: int, ranges: Iterable[Range]) -> None:
        """Forget what the cloud has."""
        told = list(ranges)
        super().stored(epoch, told)
        self.stopwatch.stored(told)


class Connected(Meter):
    """Knows whether the uplink is connected."""

    connected = False

    def set(self, name: str, value: float, **labels: str) -> None:
        """Take note of a gauge."""
        self.connected = value > 0 if name == "connected" else self.connected


class Agent:
    """One device, from its features to the gateway."""

    def __init__(self, name: str, folder: Path, address: str, learned: bytes) -> None:
        folder.mkdir()
        self.stopwatch, self.meter = Stopwatch(), Connected()
        self._machine = machine(f"m-{name}")
        self._detector = Detector(self._machine, _DETECTION)
        self._detector.load(learned)
        self._outbox = WatchedOutbox(folder / "outbox.sqlite", gap=wire.gap_parcel)
        self._outbox.stopwatch = self.stopwatch
        stopping = threading.Event()
        self._keeper = Keeper(
            self._outbox,
            self.stopwatch,
            replay=False,
            hurried=False,
            simulated=True,
            high_water_bytes=1 << 30,
            stopping=stopping,
        )
        identity = Identity(enterprise="demo", site="bench", device=name, machines=(self._machine,))
        self.uplink = Uplink(self._outbox, OwnConnection([address]), identity, meter=self.meter)

    def take(self, number: int, bad: bool) -> None:
        """Take one window: judge it, keep it with the state that follows."""
        if bad:
            self.stopwatch.begun_s = time.monotonic()
        window, rows = a_window(self._machine, number, 50.0 if bad else 1.0)
        deviation, alarms = self._detector.update(window, rows)
        found = [*records.of_rows(window, rows), records.of_health(window, deviation)]
        if self._keeper.add(found, alarms):
            self._keeper.flush({"detector": self._detector.dump()})


def machine(name: str) -> Machine:
    """A machine with one vibration sensor."""
    channel = Channel(name="x", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25_600.0)
    return Machine(name=name, machine_class="bearing", channels=(channel,), simulated=True)


def a_window(of: Machine, number: int, factor: float) -> tuple[Window, list[FeatureRow]]:
    """A window and its features: around 1, or `factor` times that."""
    values = factor * np.random.default_rng(number).normal(1.0, 0.02, len(COLUMNS)).astype(np.float32)
    samples = np.random.default_rng(number).normal(size=64).astype(np.float32)
    window = Window(machine=of.name, time_ns=time.time_ns(), samples={"x": samples})
    return window, [FeatureRow("x", Kind.FEATURES, _SCHEMA, values)]


def learned() -> bytes:
    """The state of a detector that knows its machine's healthy start."""
    of = machine("any")
    detector = Detector(of, _DETECTION)
    for number in range(2 * _DETECTION.baseline_windows):
        detector.update(*a_window(of, number, 1.0))
    return detector.dump()


async def run(address: str, prefix: str, count: int, seconds: float) -> None:
    """The agents' process: connect, say so, take windows for so long, and say how long each alarm took."""
    with tempfile.TemporaryDirectory() as folder:
        known = learned()
        agents = [Agent(f"{prefix}-{n}", Path(folder) / str(n), address, known) for n in range(count)]
        tasks = [asyncio.create_task(a.uplink.run()) for a in agents]
        async with asyncio.timeout(CONNECT_S):
            while not all(a.meter.connected for a in agents):
                await asyncio.sleep(0.1)
        print("connected", flush=True)
        sampling = threading.Thread(target=sample, args=(agents, seconds, prefix))
        await asyncio.to_thread(sys.stdin.readline)
        sampling.start()
        deadline = time.monotonic() + seconds + _LAST_S
        while any(a.stopwatch.seconds is None for a in agents) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        await asyncio.to_thread(sampling.join)
        print(json.dumps([a.stopwatch.seconds for a in agents]), flush=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def sample(agents: Sequence[Agent], seconds: float, seed: str) -> None:
    """Take all windows in the order of their times; each agent's phase, and when it goes bad, are drawn."""
    draw = random.Random(seed)
    begin, rounds = time.monotonic(), int(seconds / EVERY_S)
    phases = sorted((draw.uniform(0, EVERY_S), draw.randrange(rounds), agent) for agent in agents)
    for turn in range(rounds):
        for phase, goes_bad, agent in phases:
            time.sleep(max(begin + turn * EVERY_S + phase - time.monotonic(), 0.0))
            agent.take(turn, bad=turn == goes_bad)


def measure(agents: int = AGENTS, processes: int = PROCESSES, seconds: float = SECONDS) -> dict[str, Any]:
    """Run all agents beside one gateway."""
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)) as (address, process):
        command = [sys.executable, "-m", "benchmarks.agents", address]
        found = [
            subprocess.Popen(
                [*command, f"p{n}", str(agents // processes), str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(processes)
        ]
        try:
            for one in found:
                assert one.stdout is not None
                assert one.stdout.readline() == "connected\n", "not all agents are connected"
            used, begin = cpu_s([process]), time.monotonic()
            for one in found:
                assert one.stdin is not None
                one.stdin.write("go\n")
                one.stdin.flush()
            took = [s for one in found if one.stdout is not None for s in json.loads(one.stdout.readline())]
            cpu = (cpu_s([process]) - used) / (time.monotonic() - begin)
        finally:
            for one in found:
                one.kill()
                one.wait(10)
        rss = process.memory_info().rss
    there = np.array([s for s in took if s is not None])
    return {
        "agents": len(took),
        "alarms_delivered": len(there),
        "p50_s": round(float(np.quantile(there, 0.5)), 3),
        "p99_s": round(float(np.quantile(there, 0.99)), 3),
        "longest_s": round(float(there.max()), 3),
        "asked_p99_s": ASKED_P99_S,
        "gateway_cpu_percent": round(100 * cpu, 1),
        "gateway_rss_mb": round(rss / 1e6),
    }


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
