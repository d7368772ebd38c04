from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge import wire
from edge.outbox import Entry, digest_of
from edge.types import Alarm, AlarmChange, Kind, Quality, Record, Schema
from protos.forewarn.alert.v1 import alert_pb2
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from tests.edge.device_simulator import alarm, records


def batch_of(blob: bytes) -> pb.Batch:
    return pb.Batch.FromString(blob)


def test_rows_of_one_shape_travel_together_in_their_order() -> None:
    other = Schema(("level@1",), ("C",))
    rows = [*records(3), *records(2, start=3, machine="P-102")]
    slow = Record(kind=Kind.SCALARS, machine="P-101", channel="t", time_ns=1, values=np.array([20], "f4"), schema=other)
    first, second = wire.pack([rows[0], slow, *rows[1:]], replay=True)
    batch = batch_of(first.blob)
    assert (first.kind, first.count, second.kind, second.count) == (Kind.FEATURES, 5, Kind.SCALARS, 1)
    assert [(p.machine, p.channel) for p in batch.points] == [("P-101", "x"), ("P-102", "x")]
    assert np.frombuffer(batch.point, "<u2").tolist() == [0, 0, 0, 1, 1]
    assert (np.frombuffer(batch.event_time, "<i8") // 10**9).tolist() == [0, 1, 2, 3, 4]
    assert np.frombuffer(batch.values, "<f4").reshape(5, 2)[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert (batch.schema, batch.width, batch.dtype) == (rows[0].schema.id, 2, pb.DTYPE_FLOAT32)
    assert batch.time_base == pb.TIME_BASE_REPLAY
    assert not batch.first_sequence
    assert not batch.digest


def test_a_batch_has_at_most_256_rows_and_256_kib() -> None:
    assert [p.count for p in wire.pack(records(600), replay=False)] == [256, 256, 88]
    wide = [
        Record(kind=Kind.SPECTRUM, machine="P", channel="x", time_ns=i, values=np.zeros(20_000, "f4"), step=1.0)
        for i in range(7)
    ]
    parcels = wire.pack(wide, replay=False)
    assert [p.count for p in parcels] == [3, 3, 1]
    assert max(len(p.blob) for p in parcels) <= wire.MOST_BYTES


def test_halves_have_each_row_once_and_every_column_of_it() -> None:
    rows = [*records(3), *records(2, start=3, machine="P-102")]
    (whole,) = wire.pack([replace(r, quality=Quality.INCOMPLETE) for r in rows], replay=True)
    parts = wire.halves(whole.blob)
    assert [p.count for p in parts] == [2, 3]
    batches, one = [batch_of(p.blob) for p in parts], batch_of(whole.blob)
    for column in ("point", "event_time", "quality", "values"):
        assert b"".join(getattr(b, column) for b in batches) == getattr(one, column)
    assert {(b.schema, b.width, b.dtype, b.time_base, len(b.points)) for b in batches} == {
        (one.schema, one.width, one.dtype, one.time_base, 2)
    }


def test_columns_are_little_endian_whatever_the_machine() -> None:
    big = records(1)[0].values.astype(">f4")
    row = Record(kind=Kind.FEATURES, machine="P", channel="x", time_ns=1, values=big, schema=records(1)[0].schema)
    assert batch_of(wire.pack([row], replay=False)[0].blob).values == big.astype("<f4").tobytes()


def test_quality_and_integer_samples_survive() -> None:
    row = Record(
        kind=Kind.WAVEFORM,
        machine="P",
        channel="x",
        time_ns=-5,
        values=np.array([-32767, 7], np.int16),
        quality=Quality.SENSOR_FAULT | Quality.SUSPECT_CLOCK,
        step=1 / 25_600,
        scale=0.25,
    )
    batch = batch_of(wire.pack([row], replay=False)[0].blob)
    assert np.frombuffer(batch.values, "<i2").tolist() == [-32767, 7]
    assert (batch.dtype, batch.scale, batch.step) == (pb.DTYPE_INT16, 0.25, 1 / 25_600)
    assert list(batch.quality) == [3]
    assert np.frombuffer(batch.event_time, "<i8").tolist() == [-5]


def test_a_numbered_batch_carries_what_the_cloud_needs_to_check_it() -> None:
    (parcel,) = wire.pack(records(3), replay=False)
    entry = Entry(41, 43, parcel.kind, parcel.blob, digest_of(parcel.blob))
    batch = wire.numbered(entry)
    assert (batch.first_sequence, batch.count, batch.digest) == (41, 3, digest_of(parcel.blob))


def test_a_schema_kept_with_the_backlog_is_sent_as_it_was() -> None:
    schema = records(1)[0].schema
    assert schema is not None
    name, state = wire.schema_state(schema)
    message = wire.schema_message(state)
    assert (message.id, tuple(message.columns), tuple(message.units)) == (schema.id, schema.columns, schema.units)
    assert name == wire.schema_name_of(batch_of(wire.pack(records(1), replay=False)[0].blob))


def test_a_gap_names_its_ranges_and_is_one_record() -> None:
    parcel = wire.gap_parcel([(1, 3), (7, 7)], "no room")
    batch = batch_of(parcel.blob)
    assert (parcel.count, batch.count) == (1, 1)
    assert [(g.range.first, g.range.last, g.reason) for g in batch.gaps] == [(1, 3, "no room"), (7, 7, "no room")]


@pytest.mark.parametrize("change", list(AlarmChange))
@pytest.mark.parametrize("severity", list("ABCD"))
@pytest.mark.parametrize("confidence", ["unsure", "quite_sure", "sure"])
def test_every_word_of_an_alarm_has_a_word_on_the_wire(change: AlarmChange, severity: str, confidence: str) -> None:
    base = alarm()
    said = Alarm(
        **{f: getattr(base, f) for f in base.__slots__}
        | {"change": change, "severity": severity, "confidence": confidence, "remaining_life_s": (1.0, 2.0, 3.0)}
    )
    alert = alert_pb2.Alert.FromString(wire.alert_parcel(said, replay=True, simulated=True).blob)
    assert alert_pb2.AlertChange.Name(alert.change) == f"ALERT_CHANGE_{change.name}"
    assert alert_pb2.Severity.Name(alert.severity) == f"SEVERITY_{severity}"
    assert alert_pb2.Confidence.Name(alert.confidence) == f"CONFIDENCE_{confidence.upper()}"
    assert (alert.remaining_life.p05_s, alert.remaining_life.p95_s) == (1.0, 3.0)
    assert alert.replay
    assert alert.simulated


def test_an_alarm_without_an_estimate_says_so_by_absence() -> None:
    alert = alert_pb2.Alert.FromString(wire.alert_parcel(alarm(), replay=False, simulated=False).blob)
    assert not alert.HasField("remaining_life")


def test_ranges_that_are_none_are_left_out() -> None:
    sent = [pb.SequenceRange(first=a, last=b) for a, b in ((1, 2), (0, 5), (9, 3), (4, 4), (1, 1 << 63))]
    assert wire.plain_ranges(sent) == [(1, 2), (4, 4)]
