"""A device for tests: a small client that speaks the real protocol and keeps what is not stored.

It keeps nothing on disk and has no second thread, so that a test decides when it connects, sends and dies.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence

import grpc
import grpc.aio
import numpy as np

from cloud.ranges import Ranges
from edge.uplink.link import credentials
from models.certificates import Material
from models.features import schema_id
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc

COLUMNS = ("rms@1", "peak@1", "crest@1")
# How a call shows that it has ended; the latter two where it ended between two of our steps.
ENDED = (grpc.aio.AioRpcError, EOFError, grpc.aio.UsageError, asyncio.InvalidStateError)
SCHEMA = pb.Schema(id=schema_id(COLUMNS), columns=COLUMNS, units=("g", "g", "1"))
MACHINE = pb.Machine(
    name="P-101",
    machine_class="bearing",
    channels=[pb.Channel(name="x", unit="g", rate_hz=25_600, kind=pb.CHANNEL_KIND_WAVEFORM)],
)


def values_of(sequences: np.ndarray) -> np.ndarray:
    """What a record holds is told by its sequence, so that a test can tell a mix-up."""
    return (sequences[:, None] * 10 + np.arange(len(COLUMNS))).astype("<f4")


def batch(first: int, count: int, **changes: object) -> pb.Batch:
    """A batch of good feature records; `changes` replaces fields."""
    sequences = np.arange(first, first + count)
    fields: dict[str, object] = {
        "first_sequence": first,
        "count": count,
        "kind": pb.RECORD_KIND_FEATURES,
        "time_base": pb.TIME_BASE_LIVE,
        "schema": SCHEMA.id,
        "points": [pb.Point(machine="P-101", channel="x")],
        "point": np.zeros(count, "<u2").tobytes(),
        "event_time": (time.time_ns() + sequences).astype("<i8").tobytes(),
        "quality": np.zeros(count, "<u1").tobytes(),
        "dtype": pb.DTYPE_FLOAT32,
        "width": len(COLUMNS),
        "values": values_of(sequences).tobytes(),
        "scale": 1.0,
    }
    made = pb.Batch(**{**fields, **changes})
    made.digest = hashlib.blake2b(made.SerializeToString(), digest_size=16).digest()
    return made


class Device:
    """One device and epoch: what it made, and what of that is not stored yet."""

    def __init__(
        self, name: str = "edge-1", *, epoch: int = 7, site: str = "hall", machines: Sequence[pb.Machine] = (MACHINE,)
    ):
        self.name = name
        self.epoch = epoch
        self.site = site
        self.machines = machines
        self.kept: dict[int, pb.Batch] = {}  # by first sequence
        self.head = 0
        self.stored = Ranges()
        self.received = Ranges()
        self.rejected: dict[int, pb.Rejection] = {}

    def make(self, count: int, **changes: object) -> pb.Batch:
        """Measure `count` more records."""
        made = batch(self.head + 1, count, **changes)
        self.kept[made.first_sequence] = made
        self.head += count
        return made

    def make_many(self, batches: int, count: int) -> None:
        for _ in range(batches):
            self.make(count)

    @property
    def done(self) -> bool:
        return not self.kept

    def hello(self, **changes: object) -> pb.StreamRequest:
        fields: dict[str, object] = {
            "protocol_version": 1,
            "oldest_protocol_version": 1,
            "enterprise": "demo",
            "site": self.site,
            "device": self.name,
            "epoch": self.epoch,
            "head": self.head,
            "kept": [
                pb.SequenceRange(first=b.first_sequence, last=b.first_sequence + b.count - 1)
                for b in self.kept.values()
            ],
            "software_version": "test",
            "machines": self.machines,
        }
        return pb.StreamRequest(hello=pb.Hello(**{**fields, **changes}))

    def heard(self, stored: Sequence[pb.SequenceRange]) -> None:
        """Forget what the cloud says is stored."""
        self.stored.update((r.first, r.last) for r in stored)
        self.kept = {f: b for f, b in self.kept.items() if not self.stored.contains(f, f + b.count - 1)}

    def note(self, response: pb.StreamResponse) -> None:
        if response.WhichOneof("message") == "welcome":
            self.heard(response.welcome.stored)
            return
        self.received.update((r.first, r.last) for r in response.ack.received)
        self.rejected.update((r.sequence, r) for r in response.ack.rejected)
        self.heard(response.ack.stored)

    def connect(self, address: str) -> Connection:
        return self.on(channel_to(address))

    def on(self, channel: grpc.aio.Channel) -> Connection:
        return Connection(self, channel)

    async def deliver(self, address: str, *, within_s: float = 20.0) -> None:
        """Send all that is kept until it is stored, over as many connections as it takes."""
        async with asyncio.timeout(within_s):
            while not self.done:
                try:
                    async with self.connect(address) as connection:
                        await connection.greet()
                        await connection.send(*self.kept.values())
                        await connection.until(lambda: self.done, within_s=within_s)
                except ENDED:
                    await asyncio.sleep(0.05)  # the gateway is away; a device waits before it calls again

    async def measure(self, address: str, *, until_head: int, count: int = 25, ahead: int = 60) -> None:
        """Make and send batches of `count` records, at most `ahead` of them unstored, through any number of crashes."""
        while self.head < until_head or not self.done:
            try:
                async with self.connect(address) as connection:
                    await connection.greet()
                    await connection.send(*self.kept.values())
                    hearing = asyncio.create_task(
                        connection.until(lambda: self.done and self.head >= until_head, within_s=60)
                    )
                    try:
                        while self.head < until_head and not hearing.done():
                            await asyncio.sleep(0.002)
                            if len(self.kept) < ahead:
                                await connection.send(self.make(count))
                        await hearing
                    finally:
                        hearing.cancel()
            except ENDED:
                await asyncio.sleep(0.05)  # the gateway is away; a device waits before it calls again


def channel_to(
    address: str, material: Material | None = None, more: Sequence[tuple[str, int]] = ()
) -> grpc.aio.Channel:
    """A channel without limits of its own; with `material`, over TLS."""
    options = [("grpc.max_send_message_length", 64 << 20), *more]
    if material is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials(material), options=options)


class Connection:
    """One stream."""

    def __init__(self, device: Device, channel: grpc.aio.Channel) -> None:
        self.device = device
        self._channel = channel
        self._call = telemetry_pb2_grpc.TelemetryServiceStub(self._channel).Stream()
        self.welcome: pb.Welcome | None = None

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._channel.close(grace=None)

    async def say(self, request: pb.StreamRequest) -> None:
        await self._call.write(request)

    async def hear(self, within_s: float = 30.0) -> pb.StreamResponse:
        """Take one answer; `EOFError` when the gateway has ended the stream well."""
        async with asyncio.timeout(within_s):
            response = await self._call.read()
        if response is grpc.aio.EOF:
            raise EOFError((await self._call.code(), await self._call.details()))
        self.device.note(response)
        return response

    async def greet(self, **changes: object) -> pb.Welcome:
        await self.say(self.device.hello(**changes))
        self.welcome = (await self.hear()).welcome
        await self.say(pb.StreamRequest(schema=SCHEMA))
        return self.welcome

    async def send(self, *batches: pb.Batch) -> None:
        for chunk in _chunks(batches):
            await self.say(pb.StreamRequest(batches=pb.Batches(batches=chunk)))

    async def until(self, true, within_s: float = 30.0) -> None:
        """Hear answers until something is true."""
        async with asyncio.timeout(within_s):
            while not true():
                await self.hear(within_s)

    async def finish(self) -> None:
        """Say that nothing more comes, and hear everything that is still said."""
        await self._call.done_writing()
        try:
            while True:
                await self.hear()
        except EOFError:
            return

    async def status(self) -> tuple[grpc.StatusCode, str]:
        return await self._call.code(), await self._call.details()


def _chunks(batches: Sequence[pb.Batch], size: int = 16) -> Iterator[Sequence[pb.Batch]]:
    for at in range(0, len(batches), size):
        yield batches[at : at + size]
