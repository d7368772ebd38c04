"""An honest device beside devices that flood the gateway and never read: its time to `stored`, the gateway's memory.

The flood ignores its credit and listens to nothing. The honest device sends one small batch and waits for `stored`,
again and again: alone first, then beside the flood, on the same gateway.
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
SECONDS = 8.0  # alone, and beside the flood
_SEGMENT_SECONDS = 0.5  # instead of 2: more answers in the time
_FRAMES = 256


def measure(floods: int = FLOODS, seconds: float = SECONDS) -> dict[str, Any]:
    """Time the honest device alone and beside the flood."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cloud.toml").write_text(f"segment_seconds = {_SEGMENT_SECONDS}\n")
        with gateway(Path(folder)) as (address, process):
            alone, before = asyncio.run(honest(address, process, "alone", seconds))
            command = [sys.executable, "-m", "benchmarks.flood", address, str(floods)]
            flood = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            try:
                beside, during = asyncio.run(honest(address, process, "beside", seconds))
                assert flood.poll() is None, "the flood ended early"
            finally:
                flood.kill()
                flood.wait(10)
    return {
        "floods": floods,
        "alone_p50_s": round(float(np.quantile(alone, 0.5)), 3),
        "alone_p99_s": round(float(np.quantile(alone, 0.99)), 3),
        "beside_p50_s": round(float(np.quantile(beside, 0.5)), 3),
        "beside_p99_s": round(float(np.quantile(beside, 0.99)), 3),
        "answers": len(beside),
        "rss_mb_before": round(before / 1e6),
        "rss_mb_most": round(during / 1e6),
        "pending_mb_allowed": 64,
    }


async def honest(address: str, process: psutil.Process, name: str, seconds: float) -> tuple[list[float], int]:
    """Send one batch after the other, each after the last one's `stored`; return the seconds, and the most memory."""
    messages, took, most = Messages(16), [], 0
    async with grpc.aio.insecure_channel(address) as channel:
        call = await _greeted(channel, name)
        until_s, first = time.monotonic() + seconds, 1
        while time.monotonic() < until_s:
            begin = time.monotonic()
            await call.write(messages.make(first))
            first += messages.frames
            stored = 0
            while stored < messages.frames:
                stored += sum(r.last - r.first + 1 for r in (await call.read()).ack.stored)
            took.append(time.monotonic() - begin)
            most = max(most, process.memory_info().rss)
    return took, most


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


async def _floods(address: str, count: int) -> None:
    await asyncio.gather(*(flood(address, f"flood-{n}") for n in range(count)))


if __name__ == "__main__":
    asyncio.run(_floods(sys.argv[1], int(sys.argv[2])))
