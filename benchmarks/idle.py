"""10,000 open idle streams on one gateway: what each costs it in memory.

Each stream is a connection of its own, as devices have, greeted and silent. The devices are processes beside the
gateway; an open file is needed for each connection on either side.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.load import cpu_s, gateway, hello
from benchmarks.mtls import certify
from models.certificates import Material
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc
from tests.certificates import Authority
from tests.cloud.gateway.device import channel_to

STREAMS = 10_000
PROCESSES = 4
CERTIFIED = 2000  # of them with a certificate of each device's own: their greetings take three times as long
ASKED_KB = {False: 50.0, True: 100.0}  # of the gateway's memory for a stream; with mutual TLS
DEADLINE_S = 240.0
_SPARE_FILES = 500
_AT_ONCE = 50  # greetings under way in one process


def measure(
    streams: int = STREAMS, processes: int = PROCESSES, watch_s: float = 5.0, *, certified: bool = False
) -> dict[str, Any]:
    """Open all streams, look at the gateway, close them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    streams = min(streams, most - _SPARE_FILES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority() if certified else None
        certify(folder, authority)
        address, process = stack.enter_context(gateway(folder))
        hold = [
            _holder(address, "warm", 100, folder, authority)
        ]  # threads, connections and modules that are there once
        _read(hold[0], "open", time.monotonic() + DEADLINE_S)
        before, begin, used = process.memory_info().rss, time.monotonic(), cpu_s([process])
        try:
            hold += [_holder(address, f"p{n}", streams // processes, folder, authority) for n in range(processes)]
            for one in hold[1:]:
                _read(one, "open", begin + DEADLINE_S)
            took, opening = time.monotonic() - begin, cpu_s([process]) - used
            used = cpu_s([process])
            time.sleep(watch_s)
            idle = (cpu_s([process]) - used) / watch_s
            rss = process.memory_info().rss
        finally:
            for one in hold:
                one.kill()
                one.wait(10)
    opened = streams // processes * processes
    return {
        "streams": opened,
        "kb_per_stream": round((rss - before) / opened / 1e3, 1),
        "asked_kb_per_stream": ASKED_KB[certified],
        "rss_mb": round(rss / 1e6),
        "open_seconds": round(took, 1),
        "cpu_ms_per_greeting": round(opening / opened * 1e3, 2),
        "idle_cpu_percent": round(100 * idle, 1),
    }


def _holder(
    address: str, prefix: str, count: int, folder: Path, authority: Authority | None
) -> subprocess.Popen[bytes]:
    """Start a process of devices; their certificates wait for it in a file."""
    names = [f"{prefix}-{n}" for n in range(count)]
    file = folder / f"{prefix}.json"
    if authority is not None:
        pairs = [authority.device(name, site="bench", enterprise="demo") for name in names]
        file.write_bytes(msgspec.json.encode([authority.material(pair) for pair in pairs]))
    command = [sys.executable, "-m", "benchmarks.idle", address, prefix, str(count), str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _read(process: subprocess.Popen[bytes], word: str, deadline: float) -> None:
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    assert line == word, f"a process of idle devices ended: {line!r}"
    assert time.monotonic() < deadline, "the streams were not open in time"


async def hold(address: str, prefix: str, count: int, file: Path) -> None:
    """The devices' process: open `count` streams, say so, and keep them."""
    materials = msgspec.json.decode(file.read_bytes(), type=list[Material]) if file.exists() else [None] * count
    gate = asyncio.Semaphore(_AT_ONCE)
    calls = []

    async def one(n: int) -> None:
        async with gate:
            own = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
            channel = channel_to(address, materials[n], own)
            call = telemetry_pb2_grpc.TelemetryServiceStub(channel).Stream()
            await call.write(pb.StreamRequest(hello=hello(f"{prefix}-{n}")))
            await call.read()
            calls.append((channel, call))

    await asyncio.gather(*(one(n) for n in range(count)))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(hold(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
