"""The converters between plain types and the wire: the only file of the edge, beside the uplink, that knows protobuf.

Column bytes are little-endian, C order; what a reader needs to check them (dtype, width, count, schema) travels beside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from edge.outbox import Entry, Parcel, Range
from edge.types import Alarm, Channel, ChannelKind, Kind, Machine, Record, Schema
from protos.forewarn.alert.v1 import alert_pb2 as alert_wire
from protos.forewarn.telemetry.v1 import telemetry_pb2 as wire

PROTOCOL_VERSION = 3  # 2: alerts carry their session; 3: a batch may come in parts
OLDEST_PROTOCOL_VERSION = 1
MOST_ROWS = 256
MOST_BYTES = 256 * 1024
_CHANNEL_KIND = {
    ChannelKind.WAVEFORM: wire.CHANNEL_KIND_WAVEFORM,
    ChannelKind.SCALAR: wire.CHANNEL_KIND_SCALAR,
}
_DTYPE = {
    np.dtype("<f4"): wire.DTYPE_FLOAT32,
    np.dtype("<i2"): wire.DTYPE_INT16,
    np.dtype("u1"): wire.DTYPE_UINT8,
}


# --- records ----------------------------------------------------------------------------------------------------------


def pack(records: Iterable[Record], *, replay: bool) -> list[Parcel]:
    """Records as parcels: those of one kind and shape together, in their order, at most 256 rows and 256 KiB each."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(_shape(record), []).append(record)
    return [_parcel(chunk, replay) for group in groups.values() for chunk in _chunks(group)]


def _shape(record: Record) -> tuple[object, ...]:
    schema = record.schema.id if record.schema else 0
    return (record.kind, schema, record.values.dtype, record.values.size, record.step, record.scale, record.source)


def _chunks(group: Sequence[Record]) -> Iterator[Sequence[Record]]:
    rows = max(1, min(MOST_ROWS, MOST_BYTES // (group[0].values.nbytes + 16)))
    for i in range(0, len(group), rows):
        yield group[i : i + rows]


def _parcel(records: Sequence[Record], replay: bool) -> Parcel:
    """One batch from records of one shape."""
    example = records[0]
    points: dict[tuple[str, str], int] = {}
    index = [points.setdefault((r.machine, r.channel), len(points)) for r in records]
    little = example.values.dtype.newbyteorder("<")
    batch = wire.Batch(
        count=len(records),
        kind=wire.RecordKind.Name(int(example.kind)),
        time_base=wire.TIME_BASE_REPLAY if replay else wire.TIME_BASE_LIVE,
        schema=example.schema.id if example.schema else 0,
        points=[wire.Point(machine=m, channel=c) for m, c in points],
        point=np.array(index, "<u2").tobytes(),
        event_time=np.array([r.time_ns for r in records], "<i8").tobytes(),
        quality=bytes(int(r.quality) for r in records),
        dtype=_DTYPE[little],
        width=example.values.size,
        values=b"".join(r.values.astype(little, copy=False).tobytes() for r in records),
        step=example.step,
        scale=example.scale,
        source=example.source,
    )
    return Parcel(example.kind, len(records), batch.SerializeToString(deterministic=True))


def halves(blob: bytes) -> list[Parcel]:
    """The same records, at least two, in their order as two parcels."""
    batch = wire.Batch.FromString(blob)
    middle = batch.count // 2
    return [_rows(batch, 0, middle), _rows(batch, middle, batch.count)]


def _rows(batch: wire.Batch, begin: int, end: int) -> Parcel:
    """Rows `begin` to `end` (exclusive) of a batch whose columns are whole."""
    part = wire.Batch()
    part.CopyFrom(batch)
    part.count = end - begin
    for column in ("point", "event_time", "quality", "values"):
        width = len(getattr(batch, column)) // batch.count
        setattr(part, column, getattr(batch, column)[begin * width : end * width])
    return Parcel(Kind(batch.kind), part.count, part.SerializeToString(deterministic=True))


def gap_parcel(ranges: Sequence[Range], reason: str) -> Parcel:
    """A report that these sequences will never come: one record."""
    batch = wire.Batch(count=1, kind=wire.RECORD_KIND_GAP)
    for first, last in ranges:
        batch.gaps.append(wire.Gap(range=wire.SequenceRange(first=first, last=last), reason=reason))
    return Parcel(Kind.GAP, 1, batch.SerializeToString(deterministic=True))


def alert_parcel(alarm: Alarm, *, replay: bool, simulated: bool) -> Parcel:
    """An alarm as the crew will read it: one record."""
    life = alarm.remaining_life_s
    alert = alert_wire.Alert(
        key=alarm.key,
        change=alert_wire.AlertChange.Name(int(alarm.change)),
        machine=alarm.machine,
        channel=alarm.channel,
        event_time_ns=alarm.time_ns,
        severity=f"SEVERITY_{alarm.severity}",
        confidence=f"CONFIDENCE_{alarm.confidence.upper()}",
        part=alarm.part,
        fault=alarm.fault,
        source=alarm.source,
        score=alarm.score,
        threshold=alarm.threshold,
        remaining_life=alert_wire.Interval(p05_s=life[0], p50_s=life[1], p95_s=life[2]) if life else None,
        no_estimate_reason=alarm.no_estimate_reason,
        evidence=[
            alert_wire.Evidence(
                feature=e.feature, channel=e.channel, unit=e.unit, value=e.value, baseline=e.baseline, limit=e.limit
            )
            for e in alarm.evidence
        ],
        replay=replay,
        simulated=simulated,
        quality=alarm.quality,
    )
    return Parcel(Kind.ALERT, 1, alert.SerializeToString(deterministic=True))


# --- schemas: kept with the backlog that needs them -------------------------------------------------------------------


def schema_state(schema: Schema) -> tuple[str, bytes]:
    """Name and value by which the outbox's state keeps a schema: a backlog outlives a change of configuration."""
    return _schema_name(schema.id), json.dumps([schema.columns, schema.units]).encode()


def _schema_name(schema_id: int) -> str:
    return f"schema/{schema_id:016x}"


def schema_name_of(batch: wire.Batch) -> str | None:
    """The name under which the batch's schema is kept; None if its kind has no columns."""
    return _schema_name(batch.schema) if batch.schema else None


def schema_message(state: bytes) -> wire.Schema:
    """What `schema_state` kept, as it is sent."""
    columns, units = json.loads(state)
    return wire.Schema(id=Schema(tuple(columns), tuple(units)).id, columns=columns, units=units)


# --- messages of the stream -------------------------------------------------------------------------------------------


def numbered(entry: Entry) -> wire.Batch:
    """The batch as it is sent: with its first sequence and its digest."""
    batch = wire.Batch.FromString(entry.blob)
    batch.first_sequence = entry.first
    batch.digest = entry.digest
    return batch


def part(entry: Entry, offset: int, size: int) -> wire.Part:
    """`size` bytes of the batch, from `offset` on, as they are sent."""
    return wire.Part(
        first_sequence=entry.first,
        digest=entry.digest,
        size=len(entry.blob),
        offset=offset,
        data=entry.blob[offset : offset + size],
    )


def raise_request(
    entry: Entry, *, enterprise: str, site: str, device: str, epoch: int, session: int
) -> alert_wire.RaiseRequest:
    """The alert as it is sent."""
    return alert_wire.RaiseRequest(
        enterprise=enterprise,
        site=site,
        device=device,
        epoch=epoch,
        sequence=entry.first,
        alert=alert_wire.Alert.FromString(entry.blob),
        session=session,
    )


def hello(
    *,
    enterprise: str,
    site: str,
    device: str,
    epoch: int,
    head: int,
    kept: Iterable[Range],
    software_version: str,
    machines: Iterable[Machine],
) -> wire.StreamRequest:
    """The first message of a stream."""
    return wire.StreamRequest(
        hello=wire.Hello(
            protocol_version=PROTOCOL_VERSION,
            oldest_protocol_version=OLDEST_PROTOCOL_VERSION,
            enterprise=enterprise,
            site=site,
            device=device,
            epoch=epoch,
            head=head,
            kept=[wire.SequenceRange(first=first, last=last) for first, last in kept],
            software_version=software_version,
            machines=[_machine(m) for m in machines],
        )
    )


def _machine(machine: Machine) -> wire.Machine:
    return wire.Machine(
        name=machine.name,
        machine_class=machine.machine_class,
        simulated=machine.simulated,
        channels=[_channel(c) for c in machine.channels],
        speed_rpm=machine.speed_rpm or 0.0,
        line=machine.line,
    )


def _channel(channel: Channel) -> wire.Channel:
    return wire.Channel(name=channel.name, unit=channel.unit, rate_hz=channel.rate_hz, kind=_CHANNEL_KIND[channel.kind])


def plain_ranges(ranges: Iterable[wire.SequenceRange]) -> list[Range]:
    """Ranges off the wire; what is no range of sequence numbers is left out."""
    return [(r.first, r.last) for r in ranges if 0 < r.first <= r.last < 1 << 63]
