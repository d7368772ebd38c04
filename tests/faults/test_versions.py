"""Row 17: a device of the last release and one of the next are served; who has no version in common is told both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from cloud.gateway.rules import OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION
from cloud.wiring import Cloud
from protos.forewarn.alert.v1 import alert_pb2
from protos.forewarn.telemetry.v1 import telemetry_pb2
from tests.cloud.gateway.device import SCHEMA, Device, batch
from tests.cloud.running import QUICK, assert_exactly, play, running
from tests.edge.device_simulator import DeviceSimulator
from tests.edge.gateway_simulator import GatewaySimulator

ME = {"enterprise": "demo", "site": "hall", "device": "edge-1", "epoch": 7}
FRESH = 900  # a field's number that is not taken


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path / "cloud", QUICK)
    (tmp_path / "cloud").mkdir()
    yield cloud
    cloud.close()


class OtherDevice:
    """A device that was built from another version's files, with messages of its own."""

    def __init__(self, files: Sequence[descriptor_pb2.FileDescriptorProto], versions: tuple[int, int]) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for file in files:
            self._pool.Add(file)
        self._oldest, self._version = versions

    def make(self, name: str, **fields: Any) -> Message:
        """A message of this version, with whatever this version has more than ours."""
        descriptor = self._pool.FindMessageTypeByName(f"forewarn.{name}")
        made = message_factory.GetMessageClass(descriptor)(**fields)
        if FRESH in descriptor.fields_by_number:
            setattr(made, descriptor.fields_by_number[FRESH].name, "what only the next version knows")
        return made

    def _read(self, name: str) -> Any:
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"forewarn.{name}")).FromString

    async def deliver(self, address: str, count: int) -> Message:
        """Hello, schema, one batch, one alert; return Welcome as this version reads it."""
        part = "telemetry.v1"
        async with grpc.aio.insecure_channel(address) as channel:
            stream = channel.stream_stream(
                "/forewarn.telemetry.v1.TelemetryService/Stream",
                request_serializer=lambda m: m.SerializeToString(),
                response_deserializer=self._read(f"{part}.StreamResponse"),
            )()
            versions = {"protocol_version": self._version, "oldest_protocol_version": self._oldest}
            hello = self.make(f"{part}.Hello", **ME, **versions, head=count)
            await stream.write(self.make(f"{part}.StreamRequest", hello=hello))
            welcome = (await stream.read()).welcome
            schema = self._like(f"{part}.Schema", SCHEMA)
            await stream.write(self.make(f"{part}.StreamRequest", schema=schema))
            one = self._like(f"{part}.Batch", batch(1, count))
            batches = self.make(f"{part}.Batches", batches=[one])
            await stream.write(self.make(f"{part}.StreamRequest", batches=batches))
            stored = 0
            while stored < count:
                stored += sum(r.last - r.first + 1 for r in (await stream.read()).ack.stored)
            await self._raise(channel, count + 1)
        return welcome  # type: ignore[no-any-return]

    def _like(self, name: str, ours: Message) -> Message:
        made = self.make(name)
        made.MergeFromString(ours.SerializeToString())
        return made

    async def _raise(self, channel: grpc.aio.Channel, sequence: int) -> None:
        call = channel.unary_unary(
            "/forewarn.alert.v1.AlertService/Raise",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=self._read("alert.v1.RaiseResponse"),
        )
        alert = self.make("alert.v1.Alert", key="k", machine="P-101", change=1, severity=3)
        await call(self.make("alert.v1.RaiseRequest", **ME, sequence=sequence, alert=alert), timeout=10)


def last_release(repository: Path) -> OtherDevice:
    """What the baseline says that devices in the field were built from."""
    files = descriptor_pb2.FileDescriptorSet.FromString((repository / "protos" / "baseline.binpb").read_bytes())
    return OtherDevice(files.file, (1, 1))


def next_release(oldest: int) -> OtherDevice:
    """Ours, with one more field in every message."""
    files = []
    for module in (telemetry_pb2, alert_pb2):
        file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for message in file.message_type:
            string = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
            optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
            message.field.add(name="of_the_next_version", number=FRESH, type=string, label=optional)
        files.append(file)
    return OtherDevice(files, (oldest, PROTOCOL_VERSION + 1))


@pytest.mark.parametrize(("device", "spoken"), [("last release", 1), ("next release", PROTOCOL_VERSION)])
def test_a_device_one_version_older_or_newer_delivers_records_and_alerts(
    opened: Cloud, repository: Path, device: str, spoken: int
):
    other = last_release(repository) if device == "last release" else next_release(PROTOCOL_VERSION)

    async def story() -> None:
        async with running(opened, take_alert=opened.alerts.take) as gateway:
            welcome: Any = await other.deliver(gateway.address, 20)
            assert welcome.protocol_version == spoken

    play(story())
    assert_exactly(opened, "edge-1", 7, range(1, 21))
    assert [a.said.key for a in opened.alerts.list()] == ["k"]


def test_a_kind_of_record_of_a_newer_device_counts_as_stored_and_holds_nothing_up(opened: Cloud):
    """As `state` did for a gateway of before there were copies."""

    async def story() -> None:
        device = Device()
        async with running(opened) as gateway:
            unknown = device.make(1)
            unknown.MergeFromString(telemetry_pb2.Batch(width=5, values=b"bytes").SerializeToString())
            unknown.kind = unknown.dtype = 99  # type: ignore[assignment]
            device.make(5)
            await device.deliver(gateway.address)
        assert [r.reason for r in device.rejected.values()] == ["record kind 99 is not known here; update the gateway"]

    play(story())
    assert_exactly(opened, "edge-1", 7, range(2, 7))


def test_a_device_that_left_our_version_behind_is_told_both(opened: Cloud):
    async def story() -> None:
        async with running(opened) as gateway:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async with asyncio.timeout(10):
                    await next_release(PROTOCOL_VERSION + 1).deliver(gateway.address, 1)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        newer = PROTOCOL_VERSION + 1
        for said in (f"{newer} to {newer}", f"{OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}"):
            assert said in (refused.value.details() or "")

    play(story())


@pytest.mark.parametrize("spoken", range(OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION + 1))
def test_our_device_delivers_to_an_older_gateway_and_passes_over_what_a_newer_one_says_more(
    gateway: GatewaySimulator, tmp_path: Path, spoken: int
):
    gateway.protocol_version = spoken
    gateway.credit_bytes = 8_000  # so that the raw snapshot needs parts on any link
    gateway.more = next_release(PROTOCOL_VERSION).make("telemetry.v1.Welcome").SerializeToString()
    device = DeviceSimulator(tmp_path / "store", [gateway.address])
    device.append(20)
    device.append_raw(5_000)
    device.raise_alarm()
    device.connect()
    gateway.wait_until(lambda: device.outbox.kept_bytes == 0)
    device.close()
    assert gateway.stored == device.produced
    assert bool(gateway.parts) == (spoken >= 3), "an older gateway gets large records whole"
