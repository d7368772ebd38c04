"""The parts of `benchmarks.growth` that have a process of their own: `python -m benchmarks.growing PART ...`."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import grpc.aio
import psutil

from benchmarks.load import hello
from edge import wire
from edge.config import RecordsConfig
from edge.detection import Detector
from edge.features import Extractor
from edge.machine.bundles import Bundles
from edge.machine.keeper import Keeper
from edge.machine.ledger import Ledger
from edge.machine.loop import MachineLoop
from edge.outbox import Outbox
from edge.sensors.simulator import Simulator
from edge.sources import Source
from edge.types import Window
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc

SWITCHES, WARM_SWITCHES = 1000, 100
CHANNELS, WARM_CHANNELS = 2000, 100
WINDOWS_A_SWITCH = 3


def grown(rss_mb: Callable[[], float], warm: int, count: int, step: Callable[[int], None]) -> dict[str, Any]:
    """Do `step` so often, and see what it leaves, in MiB."""
    for i in range(warm):
        step(i)
    before, began = rss_mb(), time.monotonic()
    for i in range(warm, warm + count):
        step(i)
    after, seconds = rss_mb(), round(time.monotonic() - began, 1)
    return {"count": count, "warm": warm, "before_mb": before, "after_mb": after, "mb": after - before, "s": seconds}


def _own_mb() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


class Fed:
    """A sensor that hands over a few windows at a time, and calls `between` after the first of them."""

    def __init__(self) -> None:
        self.between: Callable[[], None] = lambda: None
        self._simulator = Simulator("P-101", 1, "none", speed=None)
        self._windows = self._simulator.windows()
        self.machine = self._simulator.machine

    def resume(self, after_ns: int) -> None:
        """It goes on where it stopped anyway."""

    def windows(self) -> Iterator[Window]:
        """The next few."""
        yield next(self._windows)
        self.between()
        yield from islice(self._windows, WINDOWS_A_SWITCH - 1)

    def close(self) -> None:
        """Nothing is open."""


def switching(folder: Path, files: list[Path]) -> dict[str, Any]:
    """A machine's loop over a real store that finds another model every few windows."""
    sensor, bundles, stopping = Fed(), Bundles(), threading.Event()
    outbox = Outbox(folder / "switching.sqlite", gap=wire.gap_parcel, quota_bytes=1 << 20)
    words: dict[str, Any] = {"replay": True, "hurried": False}
    keeper = Keeper(outbox, Ledger(None), simulated=True, high_water_bytes=1 << 30, stopping=stopping, **words)
    loop = MachineLoop(
        Source(sensor, **words),
        Extractor(sensor.machine),
        Detector(sensor.machine),
        keeper,
        outbox,
        bundles,
        RecordsConfig(),
        stopping=stopping,
        wait_for_bundle=False,
    )

    def step(i: int) -> None:
        sensor.between = partial(bundles.load, files[i % 2])
        loop.run()

    found = grown(_own_mb, WARM_SWITCHES, SWITCHES, step)
    outbox.close()
    return found


def channels(address: str) -> dict[str, Any]:
    """Greet a gateway again and again, each time over a channel of its own."""

    async def greet() -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            call = telemetry_pb2_grpc.TelemetryServiceStub(channel).Stream()  # type: ignore[no-untyped-call]  # generated
            await call.write(pb.StreamRequest(hello=hello("peer")))
            await call.read()
            call.cancel()

    with asyncio.Runner() as runner:
        return grown(_own_mb, WARM_CHANNELS, CHANNELS, lambda _: runner.run(greet()))


if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    paths = [Path(a) for a in arguments]
    print(json.dumps(channels(*arguments) if part == "channels" else switching(paths[0], paths[1:])))
