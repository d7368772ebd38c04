"""Converters between the telemetry wire and plain types; arrays are views of the message's bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.gateway import rules
from cloud.gateway.records import Block, Code, Gap, Kind, Mark, Rejected, Schema, Stream
from cloud.gateway.statuses import Refused, VersionMismatch
from cloud.ranges import Ranges
from models.errors import WrongUse
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb

_DTYPES: dict[int, str] = {pb.DTYPE_FLOAT32: "<f4", pb.DTYPE_INT16: "<i2"}
_CHANNEL_KINDS = {pb.CHANNEL_KIND_WAVEFORM: "waveform", pb.CHANNEL_KIND_SCALAR: "scalar"}
_LONGEST_SOURCE = 200
_LONGEST_REASON = 1000


class Malformed(Exception):
    """A batch whose columns do not fit each other: none of its records can be read."""

    def __init__(self, code: Code, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """What a device's configuration says of a machine, as the catalogue keeps it."""

    name: str
    machine_class: str
    simulated: bool
    speed_rpm: float | None
    line: str
    channels: str  # JSON


@dataclass(frozen=True, slots=True)
class Hello:
    """Who speaks."""

    stream: Stream
    head: int
    kept: Ranges  # what the device still holds
    software_version: str
    machines: tuple[MachineInfo, ...]


def read_hello(message: pb.Hello, enterprise: str) -> Hello:
    """Check every name of a Hello; a wrong one is `WrongUse`."""
    oldest = message.oldest_protocol_version or message.protocol_version
    if not oldest <= rules.PROTOCOL_VERSION <= message.protocol_version:
        raise VersionMismatch(
            f"the device speaks protocol versions {oldest} to {message.protocol_version}, "
            f"this gateway {rules.PROTOCOL_VERSION}",
            mend="update the older of the two",
        )
    if message.enterprise != enterprise:
        raise Refused(f"this gateway serves the enterprise {enterprise!r}, not {message.enterprise[:80]!r}")
    if not 0 < message.epoch <= rules.LARGEST_SEQUENCE or message.head > rules.LARGEST_SEQUENCE:
        raise WrongUse(f"epoch {message.epoch} with head {message.head}", mend="both are below 2**62")
    stream = Stream(rules.check_id("site", message.site), rules.check_id("device", message.device), int(message.epoch))
    machines = tuple(_machine(m) for m in message.machines)
    kept = Ranges((r.first, r.last) for r in message.kept if 1 <= r.first <= r.last <= rules.LARGEST_SEQUENCE)
    return Hello(stream, int(message.head), kept, message.software_version[:64], machines)


def _machine(message: pb.Machine) -> MachineInfo:
    channels = [
        {
            "name": rules.check_id("channel", c.name),
            "unit": c.unit[:32],
            "rate_hz": c.rate_hz,
            "kind": _CHANNEL_KINDS.get(c.kind, "scalar"),
        }
        for c in message.channels
    ]
    return MachineInfo(
        name=rules.check_id("machine", message.name),
        machine_class=rules.check_id("machine class", message.machine_class) if message.machine_class else "",
        simulated=message.simulated,
        speed_rpm=message.speed_rpm or None,
        line=message.line[:64],
        channels=json.dumps(channels),
    )


def read_schema(message: pb.Schema) -> Schema:
    """Return a checked schema; `WrongUse` when its id is not that of its columns."""
    return rules.check_schema(Schema(message.id, tuple(message.columns), tuple(message.units)))


def read_batch(batch: pb.Batch, stream: Stream, schema: Schema | None, received_ns: int) -> Block:
    """Return the batch as arrays, or raise `Malformed` when its columns do not fit each other."""
    count = batch.count
    try:
        kind = Kind(batch.kind)
    except ValueError:
        raise Malformed(
            Code.UNKNOWN_SCHEMA, f"record kind {batch.kind} is not known here; update the gateway"
        ) from None
    point = _column("point", batch.point, "<u2", count, optional=kind is Kind.GAP)
    return Block(
        stream=stream,
        first=batch.first_sequence,
        kind=kind,
        replay=batch.time_base == pb.TIME_BASE_REPLAY,
        schema=schema,
        schema_id=batch.schema,
        machines=tuple(p.machine for p in batch.points),
        channels=tuple(p.channel for p in batch.points),
        point=point,
        event_time_ns=_times(batch, kind, received_ns),
        quality=_column("quality", batch.quality, "<u1", count, optional=True),
        values=_values(batch, kind),
        step=batch.step,
        scale=batch.scale,
        source=batch.source[:_LONGEST_SOURCE],
        gaps=tuple(_gap(g) for g in batch.gaps),
        digest=batch.digest,
        received_ns=received_ns,
    )


def _column(name: str, data: bytes, dtype: str, count: int, *, optional: bool = False) -> NDArray[Any]:
    if optional and not data:
        return np.zeros(count, dtype)
    width = np.dtype(dtype).itemsize
    if len(data) != count * width:
        raise Malformed(Code.WRONG_LENGTH, f"{name} has {len(data)} bytes where {count} records need {count * width}")
    return np.frombuffer(data, dtype)


def _times(batch: pb.Batch, kind: Kind, received_ns: int) -> NDArray[np.int64]:
    if kind is Kind.GAP and not batch.event_time:  # a gap is no measurement
        return np.full(batch.count, received_ns, np.int64)
    return _column("event_time", batch.event_time, "<i8", batch.count)


def _values(batch: pb.Batch, kind: Kind) -> NDArray[Any]:
    if kind is Kind.GAP:
        return np.zeros((batch.count, 0), np.float32)
    dtype = _DTYPES.get(batch.dtype)
    if dtype is None:
        raise Malformed(
            Code.WRONG_LENGTH, f"values of dtype {batch.dtype}, which is not known here; update the gateway"
        )
    if not batch.width:
        raise Malformed(Code.WRONG_LENGTH, "records without values")
    return _column("values", batch.values, dtype, batch.count * batch.width).reshape(batch.count, batch.width)


def _gap(gap: pb.Gap) -> Gap:
    first, last = gap.range.first, gap.range.last
    if not 1 <= first <= last <= rules.LARGEST_SEQUENCE:
        raise Malformed(Code.WRONG_LENGTH, f"a gap from {first} to {last}")
    return Gap(int(first), int(last), gap.reason[:_LONGEST_REASON])


def single(batch: pb.Batch, row: int) -> bytes:
    """Return one record of a batch in wire form, as far as its columns reach."""
    one = pb.Batch()
    one.CopyFrom(batch)
    one.first_sequence = batch.first_sequence + row
    one.count = 1
    one.digest = b""
    one.point = batch.point[2 * row : 2 * row + 2]
    one.event_time = batch.event_time[8 * row : 8 * row + 8]
    one.quality = batch.quality[row : row + 1]
    width = batch.width * (2 if batch.dtype == pb.DTYPE_INT16 else 4)
    one.values = batch.values[width * row : width * (row + 1)]
    return one.SerializeToString()


def ranges_of(ranges: Ranges) -> list[pb.SequenceRange]:
    """Ranges for the wire."""
    return [pb.SequenceRange(first=first, last=last) for first, last in ranges]


def welcome(stored: Ranges, head: Mark | None, *, credit_bytes: int, largest_message_bytes: int) -> pb.StreamResponse:
    """Build the answer to a Hello."""
    mark = None if head is None else pb.Mark(sequence=head.sequence, digest=head.digest)
    return pb.StreamResponse(
        welcome=pb.Welcome(
            protocol_version=rules.PROTOCOL_VERSION,
            stored=ranges_of(stored),
            head=mark,
            credit_bytes=credit_bytes,
            largest_message_bytes=largest_message_bytes,
        )
    )


def ack(received: Ranges, stored: Ranges, rejected: list[Rejected]) -> pb.StreamResponse:
    """Build an acknowledgement."""
    refusals = [
        pb.Rejection(sequence=r.sequence, code=pb.RejectionCode.Name(r.code), reason=r.reason) for r in rejected
    ]
    return pb.StreamResponse(ack=pb.Ack(received=ranges_of(received), stored=ranges_of(stored), rejected=refusals))
