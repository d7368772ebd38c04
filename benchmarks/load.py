"""What the benchmarks of the gateway share: a gateway process, a device that only sends, and what processes cost."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import grpc.aio
import numpy as np
import psutil

from models.features import WAVEFORM, schema_id
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc

COLUMNS = tuple(spec.id for spec in WAVEFORM)
UNSTORED_ROWS = 400_000  # of one device, before it waits: what an outbox on disk would hold
_END_S = 90.0  # for a gateway to end, also one with thousands of streams that just broke off
START_NS = 1_790_000_000 * 10**9
_POOL = 1 << 23  # random floats of which messages take their values
_APART = 1 << 19  # of them between two devices: no load of a gateway holds the same values twice


@contextlib.contextmanager
def gateway(data: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Run `forewarn cloud serve` over the folder, as `cloud.toml` in it says; yield its address and process."""
    command = [sys.executable, "-m", "forewarn", "--log-level", "error", "cloud", "serve", "--no-page"]
    process = subprocess.Popen(
        [*command, "--data", str(data), "--gateway", "127.0.0.1:0"], stdout=subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["gateway"], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(_END_S)


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds that processes have used."""
    times = [p.cpu_times() for p in processes]
    return sum(t.user + t.system for t in times)


@functools.cache
def _values() -> bytes:
    """The pool, and after it as much as one message may take."""
    pool = np.random.default_rng(1).standard_normal(_POOL, dtype="<f4")
    return pool.tobytes() + pool[: _POOL // 16].tobytes()


class Messages:
    """Makes messages of `frames` rows of 13 float32 features cheaply, from a pool of random values."""

    def __init__(self, frames: int, device: int = 0) -> None:
        self.frames = frames
        self._place = _APART * device
        self._size = 4 * frames * len(COLUMNS)
        self._values = _values()
        self._times = START_NS + 10**8 * np.arange(frames)
        self._request = pb.StreamRequest()  # one for all: gRPC and paho take its bytes at once
        self._batch = self._request.batches.batches.add(
            count=frames,
            kind=pb.RECORD_KIND_FEATURES,
            time_base=pb.TIME_BASE_REPLAY,
            schema=schema_id(COLUMNS),
            points=[pb.Point(machine="P-101", channel="x")],
            point=np.zeros(frames, "<u2").tobytes(),
            quality=bytes(frames),
            dtype=pb.DTYPE_FLOAT32,
            width=len(COLUMNS),
            scale=1.0,
        )
        self._digest = hashlib.blake2b(self._values[:4096], digest_size=16).digest()

    def make(self, first: int) -> pb.StreamRequest:
        """Return the message that starts at sequence `first`; the next call changes it."""
        offset = 4 * ((self._place + first * len(COLUMNS)) % _POOL)
        self._batch.first_sequence = first
        self._batch.event_time = (self._times + 10**8 * first).astype("<i8").tobytes()
        self._batch.values = self._values[offset : offset + self._size]
        self._batch.digest = self._digest
        return self._request


Connect = Callable[[str], grpc.aio.Channel]


async def send(
    address: str,
    name: str,
    messages: Messages,
    until_s: float,
    connect: Connect = grpc.aio.insecure_channel,
    *,
    rows_per_s: float = math.inf,
) -> int:
    """Send as one device until the time is up and everything is stored, at most so fast; return the rows."""
    async with connect(address) as channel:
        call = telemetry_pb2_grpc.TelemetryServiceStub(channel).Stream()
        await call.write(pb.StreamRequest(hello=hello(name)))
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
        begin = time.monotonic()
        while time.monotonic() < until_s:
            on_the_way = (state["head"] - state["received"]) // messages.frames * size
            if on_the_way < credit and state["head"] - state["stored"] < UNSTORED_ROWS:
                if (early := begin + state["head"] / rows_per_s - time.monotonic()) > 0:
                    await asyncio.sleep(early)
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


def hello(name: str) -> pb.Hello:
    """How a device of the benchmark greets."""
    return pb.Hello(protocol_version=1, enterprise="demo", site="bench", device=name, epoch=1)


async def send_all(
    address: str, names: Iterable[str], frames: int, seconds: float, rows_per_s: float = math.inf
) -> int:
    """Send as many devices at once for so long, each at most so fast, until all is stored; return the rows."""
    until_s = time.monotonic() + seconds
    sends = (send(address, name, Messages(frames, n), until_s, rows_per_s=rows_per_s) for n, name in enumerate(names))
    return sum(await asyncio.gather(*sends))
