"""Honest devices beside devices that flood the gateway and never read: their time to `stored`, the gateway's memory.

The flood ignores its credit and listens to nothing. Each honest device sends one small batch and waits for `stored`,
again and again. Alone and beside the flood take turns on the same gateway: alone is the floor.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import psutil

from benchmarks.load import COLUMNS, Messages, gateway, hello
from models.features import schema_id
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc

FLOODS = 4
HONEST = 8
TURNS = 4
SECONDS = 15.0  # alone, and beside the flood, in each turn
_SEGMENT_SECONDS = 0.1  # instead of 2: the wait for a segment's end is not what is asked
_FRAMES = 256


def measure(floods: int = FLOODS, seconds: float = SECONDS, turns: int = TURNS) -> dict[str, Any]:
    """Time the honest devices alone and beside the flood."""
    alone: list[float] = []
    beside: list[float] = []
    rss = {"alone": 0, "beside": 0}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cloud.toml").write_text(f"segment_seconds = {_SEGMENT_SECONDS}\n")
        with gateway(Path(folder)) as (address, process):
            for turn in range(turns):
                took, most = asyncio.run(_honest(address, process, f"alone-{turn}", seconds))
                alone += took
                rss["alone"] = rss["alone"] or most  # later ones stand on what the flood left
                command = [sys.executable, "-m", "benchmarks.flood", address, str(floods), f"flood-{turn}"]
                flood = subprocess.Popen(command, stderr=subprocess.DEVNULL)
                try:
                    took, most = asyncio.run(_honest(address, process, f"beside-{turn}", seconds))
                    beside += took
                    rss["beside"] = max(rss["beside"], most)
                    assert flood.poll() is None, "the flood ended early"
                finally:
                    flood.kill()
                    flood.wait(10)
    return {
        "floods": floods,
        "honest": HONEST,
        "alone_p50_s": _quantile(alone, 0.5),
        "alone_p99_s": _quantile(alone, 0.99),
        "alone_answers": len(alone),
        "beside_p50_s": _quantile(beside, 0.5),
        "beside_p99_s": _quantile(beside, 0.99),
        "answers": len(beside),
        "rss_mb_before": round(rss["alone"] / 1e6),
        "rss_mb_most": round(rss["beside"] / 1e6),
        "pending_mb_allowed": 64,
    }


def _quantile(seconds: list[float], q: float) -> float:
    return round(float(np.quantile(seconds, q)), 3)


async def _honest(address: str, process: psutil.Process, name: str, seconds: float) -> tuple[list[float], int]:
    """All honest devices at once; (seconds of each answer, the most memory)."""
    until_s = time.monotonic() + seconds
    found = await asyncio.gather(*(_one(address, process, f"{name}-{n}", until_s) for n in range(HONEST)))
    return [s for took, _ in found for s in took], max(most for _, most in found)


async def _one(address: str, process: psutil.Process, name: str, until_s: float) -> tuple[list[float], int]:
    """Send one batch after the other, each after the last one's `stored`; the first waits for what was there before."""
    messages, took, most = Messages(16), [], 0
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=own) as channel:
        call = await _greeted(channel, name)
        first = 1
        while time.monotonic() < until_s:
            begin = time.monotonic()
            await call.write(messages.make(first))
            first += messages.frames
            stored = 0
            while stored < messages.frames:
                stored += sum(r.last - r.first + 1 for r in (await call.read()).ack.stored)
            took.append(time.monotonic() - begin)
            most = max(most, process.memory_info().rss)
    return took[1:], most


async def _greeted(channel: grpc.aio.Channel, name: str) -> Any:
    call = telemetry_pb2_grpc.TelemetryServiceStub(channel).Stream()
    await call.write(pb.StreamRequest(hello=hello(name)))
    await call.read()
    schema = pb.Schema(id=schema_id(COLUMNS), columns=COLUMNS, units=[""] * len(COLUMNS))
    await call.write(pb.StreamRequest(schema=schema))
    return call


async def flood(address: str, name: str) -> None:
    """Send for ever, as fast as the link takes it, and read nothing."""
    messages, first = Messages(_FRAMES), 1
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=own) as channel:
        call = await _greeted(channel, name)
        while True:
            await call.write(messages.make(first))
            first += _FRAMES


async def _floods(address: str, count: int, name: str) -> None:
    await asyncio.gather(*(flood(address, f"{name}-{n}") for n in range(count)))


if __name__ == "__main__":
    asyncio.run(_floods(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
