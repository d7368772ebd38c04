"""What mutual TLS costs a gateway: CPU time for each row and each connection, beside the same in plain text.

Two gateway processes, one of each kind, take turns, so that a busy machine slows both. CPU time is the gateway's own.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc.aio
import psutil

from benchmarks.ingest import FRAMES
from benchmarks.load import Connect, Messages, gateway, send
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1.telemetry_pb2_grpc import TelemetryServiceStub
from tests.certificates import Authority
from tests.cloud.gateway.device import channel_to

ROUNDS = 5
SECONDS = 1.5
STREAMS = 16
CONNECTIONS = 60  # in a round
Connecting = Callable[[str], Connect]  # a device's name -> how it connects
Run = Callable[
    [str, str, Connecting], Coroutine[Any, Any, int]
]  # address, what its devices' names begin with -> what was done


def measure() -> dict[str, Any]:
    """`mtls`: for each size of message and for a connection, CPU us of both ways and the ratio's median over rounds."""
    authority = Authority()

    def certified(name: str) -> Connect:
        material = authority.material(authority.device(name, site="bench"))
        return lambda address: channel_to(address, material)

    ways: dict[str, Connecting] = {"plain": lambda name: grpc.aio.insecure_channel, "mtls": certified}
    with ExitStack() as stack:
        served = {way: stack.enter_context(gateway(_data(stack, authority, way == "mtls"))) for way in ways}
        work: dict[str, Run] = {f"a row at {frames} a message": _sending(frames) for frames in FRAMES}
        work["a connection"] = _connecting
        return {"mtls": [_compare(name, run, served, ways) for name, run in work.items()]}


def _data(stack: ExitStack, authority: Authority, certified: bool) -> Path:
    """A gateway's data folder; without compaction, which would burden one of the two by chance."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    certify(folder, authority if certified else None)
    return folder


def certify(folder: Path, authority: Authority | None) -> None:
    """Let the gateway of a data folder ask devices for the authority's certificates; None: for none."""
    tls = '[tls]\ncertificate = "gateway.pem"\nkey = "gateway.key"\nclient_ca = "ca.pem"\n'
    (folder / "cloud.toml").write_text("compact_seconds = 0.0\n" + (tls if authority else ""))
    if authority is not None:
        authority.gateway().write(folder, "gateway")
        (folder / "ca.pem").write_bytes(authority.certificate)


def _compare(
    what: str, run: Run, served: dict[str, tuple[str, psutil.Process]], ways: dict[str, Connecting]
) -> dict[str, Any]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):
        for way, connecting in ways.items():
            address, process = served[way]
            before = process.cpu_times()
            done = asyncio.run(run(address, f"{what} {turn}", connecting))
            after = process.cpu_times()
            cpu = after.user + after.system - before.user - before.system
            if turn:  # the first warms up
                taken[way].append(cpu / done * 1e6)
    ratios = [m / p for p, m in zip(taken["plain"], taken["mtls"], strict=True)]
    middle = {f"{way}_cpu_us": round(statistics.median(values), 2) for way, values in taken.items()}
    span = {"least": round(min(ratios), 2), "most": round(max(ratios), 2)}
    return {"what": what, **middle, "ratio": round(statistics.median(ratios), 2), **span}


def _sending(frames: int) -> Run:
    async def run(address: str, name: str, connecting: Connecting) -> int:
        """Stream rows, each device over a connection of its own."""
        until_s = time.monotonic() + SECONDS
        devices = {f"{name} {n}": Messages(frames) for n in range(STREAMS)}
        sends = [send(address, device, m, until_s, connecting(device)) for device, m in devices.items()]
        return sum(await asyncio.gather(*sends))

    return run


async def _connecting(address: str, name: str, connecting: Connecting) -> int:
    """Connect, say Hello, hear Welcome, and go."""
    connect = connecting(name)
    for epoch in range(1, CONNECTIONS + 1):
        async with connect(address) as channel:
            call = TelemetryServiceStub(channel).Stream()
            hello = pb.Hello(protocol_version=1, enterprise="demo", site="bench", device=name, epoch=epoch)
            await call.write(pb.StreamRequest(hello=hello))
            await call.read()
            await call.done_writing()
    return CONNECTIONS


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"gateway CPU us of {one['what']} with mTLS (plain; ratio, least and most of {ROUNDS} rounds)",
            f"{one['mtls_cpu_us']} ({one['plain_cpu_us']}; {one['ratio']}, {one['least']} to {one['most']})",
        )
        for one in figures["mtls"]
    ]
