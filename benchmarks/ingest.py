"""Durable ingest: rows a second from device to `stored`, through a real gateway process, at several batch sizes.

A row is 13 named float32 features. A run ends when everything that was sent is stored: in the object store, and
committed with its cursor. CPU time is the gateway process's own; the senders share the machine with it. Beside each
size, in the same run, the same bytes go through an MQTT pipeline that is durable as well (`benchmarks/mqtt.py`), if
mosquitto is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import psutil

from cloud.wiring import open_cloud
from models.features import WAVEFORM, schema_id
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc

COLUMNS = tuple(spec.id for spec in WAVEFORM)
FRAMES = (1, 16, 256)  # rows a message
SECONDS = 3.0  # of sending, for each size
STREAMS = 16
UNSTORED_ROWS = 400_000  # of one device, before it waits: what an outbox on disk would hold
START_NS = 1_790_000_000 * 10**9


@contextlib.contextmanager
def gateway(data: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run `forewarn cloud serve` with its default segments; yield its address and process."""
    command = [sys.executable, "-m", "forewarn", "--log-level", "error", "cloud", "serve", "--no-page"]
    process = subprocess.Popen(
        [*command, "--data", str(data), "--gateway", "127.0.0.1:0"], stdout=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["gateway"], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


class Messages:
    """Makes messages of `frames` rows cheaply: the bytes are made once, only sequence and digest change."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        values = np.random.default_rng(1).normal(size=(frames, len(COLUMNS))).astype("<f4")
        self._batch = pb.Batch(
            count=frames,
            kind=pb.RECORD_KIND_FEATURES,
            time_base=pb.TIME_BASE_REPLAY,
            schema=schema_id(COLUMNS),
            points=[pb.Point(machine="P-101", channel="x")],
            point=np.zeros(frames, "<u2").tobytes(),
            event_time=(START_NS + np.arange(frames)).astype("<i8").tobytes(),
            quality=bytes(frames),
            dtype=pb.DTYPE_FLOAT32,
            width=len(COLUMNS),
            values=values.tobytes(),
            scale=1.0,
        )
        self._digest = hashlib.blake2b(self._batch.SerializeToString(), digest_size=16).digest()

    def make(self, first: int) -> pb.StreamRequest:
        """Return the message that starts at sequence `first`."""
        self._batch.first_sequence = first
        self._batch.digest = self._digest
        return pb.StreamRequest(batches=pb.Batches(batches=[self._batch]))


async def send(address: str, name: str, messages: Messages, until_s: float) -> int:
    """Send as one device until the time is up and everything is stored; return the rows."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = telemetry_pb2_grpc.TelemetryServiceStub(channel).Stream()
        hello = pb.Hello(protocol_version=1, enterprise="demo", site="bench", device=name, epoch=1)
        await call.write(pb.StreamRequest(hello=hello))
        credit = (await call.read()).welcome.credit_bytes
        schema = pb.Schema(id=schema_id(COLUMNS), columns=COLUMNS, units=[""] * len(COLUMNS))
        await call.write(pb.StreamRequest(schema=schema))
        size = messages.make(1).ByteSize()
        state = {"head": 0, "received": 0, "stored": 0}
        room = asyncio.Event()

        async def hear() -> None:
            while True:
                ack = (await call.read()).ack
                state["received"] += sum(r.last - r.first + 1 for r in ack.received)
                state["stored"] += sum(r.last - r.first + 1 for r in ack.stored)
                room.set()

        hearing = asyncio.create_task(hear())
        while time.monotonic() < until_s:
            on_the_way = (state["head"] - state["received"]) // messages.frames * size
            if on_the_way < credit and state["head"] - state["stored"] < UNSTORED_ROWS:
                await call.write(messages.make(state["head"] + 1))
                state["head"] += messages.frames
            else:
                room.clear()
                await room.wait()
        while state["stored"] < state["head"]:
            room.clear()
            await room.wait()
        hearing.cancel()
        return state["head"]


async def _measure(address: str, process: psutil.Process, frames: int, streams: int, seconds: float) -> dict[str, Any]:
    """Return one row of the table."""
    messages = [Messages(frames) for _ in range(streams)]
    before, begin = process.cpu_times(), time.monotonic()
    sends = [send(address, f"d{frames}-{n}", m, begin + seconds) for n, m in enumerate(messages)]
    sent = sum(await asyncio.gather(*sends))
    took, after = time.monotonic() - begin, process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return {
        "frames": frames,
        "rows": sent,
        "rows_per_s": round(sent / took),
        "seconds": round(took, 2),
        "cpu_us": round(cpu / sent * 1e6, 2),
        "rss_mb": round(process.memory_info().rss / 1e6),
    }


def stored_rows(data: Path) -> int:
    """Rows that are committed, after reading all of them: a rate counts only if what was counted is there, once."""
    subprocess.run([sys.executable, "-m", "forewarn", "lake", "verify", "--data", str(data)], check=True, stdout=2)
    return sum(len(book.stored) for book in open_cloud(data).lake.ledger())


def measure(seconds: float = SECONDS, streams: int = STREAMS) -> dict[str, Any]:
    """Measure all batch sizes against one gateway, each beside the MQTT pipeline."""
    table = []
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)) as (address, process):
        for frames in FRAMES:
            table.append(asyncio.run(_measure(address, process, frames, streams, seconds)))
            table[-1] |= _beside_mqtt(table[-1], streams, seconds)
        stored = stored_rows(Path(folder))
    assert stored == sum(row["rows"] for row in table), "rows were lost or doubled"
    return {"streams": streams, "ingest": table}


def _beside_mqtt(ours: dict[str, Any], streams: int, seconds: float) -> dict[str, Any]:
    """Return the peer's rates at the same size, and ours in terms of them."""
    if shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        return {}
    from benchmarks import mqtt  # noqa: PLC0415 - it builds on this module

    found: dict[str, Any] = {}
    for name, most in (("mqtt", 1), ("grouped_mqtt", 10_000)):
        with tempfile.TemporaryDirectory() as folder, mqtt.pipeline(Path(folder), most=most) as (port, file):
            peer = mqtt.measure(port, file, ours["frames"], streams, seconds)
        found[f"{name}_rows_per_s"] = peer["rows_per_s"]
        found[f"ratio_to_{name}"] = round(ours["rows_per_s"] / peer["rows_per_s"], 2)
    return found


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"durable rows/s at {row['frames']} a message (gateway CPU us; times MQTT, and with group commit)",
            f"{row['rows_per_s']} ({row['cpu_us']}; {row.get('ratio_to_mqtt')}, {row.get('ratio_to_grouped_mqtt')})",
        )
        for row in figures["ingest"]
    ]
