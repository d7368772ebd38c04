"""Converters between the telemetry wire and plain types; columns stay bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from cloud.gateway import rules
from cloud.gateway.parts import Part
from cloud.gateway.records import DTYPES, Batch, Gap, Mark, Rejected, Schema, Shape, Stream
from cloud.gateway.statuses import Refused, VersionMismatch
from cloud.ranges import Ranges
from models.errors import WrongUse
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb

_CHANNEL_KINDS = {pb.CHANNEL_KIND_WAVEFORM: "waveform", pb.CHANNEL_KIND_SCALAR: "scalar"}
_LONGEST_SOURCE = 200
_LONGEST_REASON = 1000


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
    version: int  # of the protocol, that both speak
    head: int
    kept: Ranges  # what the device still holds
    software_version: str
    machines: tuple[MachineInfo, ...]


def read_hello(message: pb.Hello, enterprise: str) -> Hello:
    """Check every name of a Hello; a wrong one is `WrongUse`."""
    version = _common_version(message)
    if message.enterprise != enterprise:
        raise Refused(f"this gateway serves the enterprise {enterprise!r}, not {message.enterprise[:80]!r}")
    if not 0 < message.epoch <= rules.LARGEST_SEQUENCE or message.head > rules.LARGEST_SEQUENCE:
        raise WrongUse(f"epoch {message.epoch} with head {message.head}", mend="both are below 2**62")
    stream = Stream(rules.check_id("site", message.site), rules.check_id("device", message.device), int(message.epoch))
    machines = tuple(_machine(m) for m in message.machines)
    kept = Ranges((r.first, r.last) for r in message.kept if 1 <= r.first <= r.last <= rules.LARGEST_SEQUENCE)
    return Hello(stream, version, int(message.head), kept, message.software_version[:64], machines)


def _common_version(message: pb.Hello) -> int:
    """The highest version that both sides speak."""
    oldest = message.oldest_protocol_version or message.protocol_version
    version = min(message.protocol_version, rules.PROTOCOL_VERSION)
    if version < max(oldest, rules.OLDEST_PROTOCOL_VERSION):
        raise VersionMismatch(
            f"the device speaks protocol versions {oldest} to {message.protocol_version}, "
            f"this gateway {rules.OLDEST_PROTOCOL_VERSION} to {rules.PROTOCOL_VERSION}",
            mend="update the older of the two",
        )
    return version


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


def read_batch(message: pb.Batch, schemas: Mapping[int, Schema], received_ns: int) -> Batch:
    """Return the batch in plain types; whether its columns fit each other is for `rules` to say."""
    count, points = message.count, list(message.points)
    point, event_time, values = message.point, message.event_time, message.values
    dtype, width = int(message.dtype), message.width
    if message.kind == pb.RECORD_KIND_GAP:  # no measurement: no point, no values, and its time is when it was told
        points, point = [], bytes(2 * count)
        event_time = event_time or received_ns.to_bytes(8, "little") * count
        dtype, width, values = int(pb.DTYPE_FLOAT32), 0, b""
    return Batch(
        Shape(
            kind=int(message.kind),
            replay=message.time_base == pb.TIME_BASE_REPLAY,
            schema=schemas.get(message.schema),
            schema_id=message.schema,
            machines=tuple([p.machine for p in points]),
            channels=tuple([p.channel for p in points]),
            dtype=dtype,
            width=width,
            step=message.step,
            scale=message.scale,
            source=message.source[:_LONGEST_SOURCE],
            gaps=tuple([Gap(g.range.first, g.range.last, g.reason[:_LONGEST_REASON]) for g in message.gaps]),
        ),
        first=message.first_sequence,
        rows=count,
        point=point,
        event_time=event_time,
        quality=message.quality or bytes(count),
        values=values,
        digest=message.digest,
        received_ns=received_ns,
    )


def read_part(message: pb.Part) -> Part:
    """Return the plain part; whether it fits is for `parts` to say."""
    return Part(int(message.first_sequence), message.digest, message.size, message.offset, message.data)


def whole(part: Part, data: bytes) -> pb.Batch:
    """Return the batch that `part` was the last one of."""
    try:
        batch = pb.Batch.FromString(data)
    except DecodeError as e:
        raise WrongUse(f"the parts of batch {part.first} are together no batch") from e
    batch.first_sequence, batch.digest = part.first, part.digest
    return batch


def single(batch: Batch, row: int) -> bytes:
    """Return one record of a batch in wire form, as far as its columns reach."""
    shape = batch.shape
    width = shape.width * int(DTYPES.get(shape.dtype, "<f4")[-1])
    one = pb.Batch(
        first_sequence=batch.first + row,
        count=1,
        time_base=pb.TIME_BASE_REPLAY if shape.replay else pb.TIME_BASE_LIVE,
        schema=shape.schema_id,
        points=[pb.Point(machine=m, channel=c) for m, c in zip(shape.machines, shape.channels, strict=True)],
        point=batch.point[2 * row : 2 * row + 2],
        event_time=batch.event_time[8 * row : 8 * row + 8],
        quality=batch.quality[row : row + 1],
        width=shape.width,
        values=batch.values[width * row : width * (row + 1)],
        step=shape.step,
        scale=shape.scale,
        source=shape.source,
        gaps=[pb.Gap(range=pb.SequenceRange(first=g.first, last=g.last), reason=g.reason) for g in shape.gaps],
    )
    one.kind = shape.kind  # type: ignore[assignment]  # also a number that is not known here
    one.dtype = shape.dtype  # type: ignore[assignment]
    return one.SerializeToString()


def ranges_of(ranges: Ranges) -> list[pb.SequenceRange]:
    """Ranges for the wire."""
    return [pb.SequenceRange(first=first, last=last) for first, last in ranges]


def welcome(
    stored: Ranges, head: Mark | None, *, version: int, session: int, credit_bytes: int, largest_message_bytes: int
) -> pb.StreamResponse:
    """Build the answer to a Hello."""
    mark = None if head is None else pb.Mark(sequence=head.sequence, digest=head.digest)
    return pb.StreamResponse(
        welcome=pb.Welcome(
            protocol_version=version,
            stored=ranges_of(stored),
            head=mark,
            credit_bytes=credit_bytes,
            largest_message_bytes=largest_message_bytes,
            session=session,
        )
    )


def ack(received: Ranges, stored: Ranges, rejected: list[Rejected], part_bytes: int) -> pb.StreamResponse:
    """Build an acknowledgement."""
    refusals = [
        pb.Rejection(sequence=r.sequence, code=pb.RejectionCode.Name(r.code), reason=r.reason) for r in rejected
    ]
    return pb.StreamResponse(
        ack=pb.Ack(received=ranges_of(received), stored=ranges_of(stored), rejected=refusals, part_bytes=part_bytes)
    )
