"""Names and verdicts: what is refused, what is not, and that a bad record never takes a good one with it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cloud.gateway import blocks, rules, wire
from cloud.gateway.records import Batch, Code, Schema, Stream
from models.errors import WrongUse
from models.features import schema_id
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from tests.cloud.gateway.device import COLUMNS, SCHEMA, batch

STREAM = Stream("hall", "edge-1", 7)
NAMED = Schema(SCHEMA.id, COLUMNS, ("g", "g", "1"))


def read(message: pb.Batch, schema: Schema | None = NAMED) -> Batch:
    return wire.read_batch(message, {schema.id: schema} if schema else {}, time.time_ns())


def judged(message: pb.Batch, schema: Schema | None = NAMED) -> rules.Verdicts:
    batch = read(message, schema)
    rules.check_columns(batch)
    return rules.judge(blocks.join(STREAM, [batch]))


def with_values(rows: dict[int, float]) -> pb.Batch:
    values = np.ones((8, 3), "<f4")
    for row, value in rows.items():
        values[row, 1] = value
    return batch(1, 8, values=values.tobytes())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_condemns_its_own_record_only(bad):
    verdicts = judged(with_values({2: bad, 5: bad}))
    assert verdicts.good.tolist() == [True, True, False, True, True, False, True, True]
    assert set(verdicts.codes[[2, 5]]) == {Code.NOT_FINITE}
    assert verdicts.reason(2) == "P-101 x: peak@1 is not a finite number; check the sensor and its cable"


@pytest.mark.parametrize(
    ("ahead_s", "base", "good"),
    [
        (590, pb.TIME_BASE_LIVE, True),
        (660, pb.TIME_BASE_LIVE, False),
        (660, pb.TIME_BASE_UNSPECIFIED, False),
        (10_000_000, pb.TIME_BASE_REPLAY, True),
        (-10_000_000_000, pb.TIME_BASE_LIVE, True),
    ],
)
def test_only_a_live_record_from_the_future_is_refused(ahead_s, base, good):
    times = np.array([time.time_ns(), time.time_ns() + ahead_s * 1_000_000_000], "<i8")
    verdicts = judged(batch(1, 2, event_time=times.tobytes(), time_base=base))
    assert verdicts.good.tolist() == [True, good]
    if not good:
        assert verdicts.codes[1] == Code.FUTURE_TIME
        assert "set the device's clock" in verdicts.reason(1)


def test_a_record_from_the_future_whose_device_doubts_its_clock_is_kept():
    ahead = np.array([time.time_ns() + 59 * 365 * 86_400 * 10**9] * 3, "<i8")
    verdicts = judged(batch(1, 3, event_time=ahead.tobytes(), quality=bytes([1, 0, 3])))
    assert verdicts.good.tolist() == [True, False, True]
    assert verdicts.codes[1] == Code.FUTURE_TIME


def test_a_copy_of_what_a_device_learned_is_bytes_of_any_length_and_needs_no_schema():
    copy = {"kind": pb.RECORD_KIND_STATE, "schema": 0, "dtype": pb.DTYPE_UINT8, "points": [pb.Point(machine="P-101")]}
    good = batch(1, 1, **copy, width=5, values=b"\x00\xff\n01")
    verdicts = judged(good)
    assert verdicts.good.tolist() == [True]
    assert verdicts.block.values.tobytes() == b"\x00\xff\n01"
    assert pb.Batch.FromString(wire.single(read(good), 0)).values == b"\x00\xff\n01"
    empty = {"width": 0, "values": b""}
    for wrong in ({"width": 4}, {"dtype": pb.DTYPE_INT16}, {"kind": pb.RECORD_KIND_WAVEFORM}, empty):
        with pytest.raises(rules.Malformed):
            judged(batch(1, 1, **{**copy, "width": 5, "values": b"\x00\xff\n01", **wrong}))


def test_values_of_another_width_than_the_schema_are_refused():
    verdicts = judged(batch(1, 2, width=2, values=np.zeros((2, 2), "<f4").tobytes()))
    assert verdicts.codes.tolist() == [Code.WRONG_LENGTH] * 2


def test_a_schema_that_was_never_sent_refuses_the_whole_batch():
    assert judged(batch(1, 2), schema=None).codes.tolist() == [Code.UNKNOWN_SCHEMA] * 2


def test_a_record_of_a_point_that_its_batch_does_not_describe_is_refused():
    verdicts = judged(batch(1, 3, point=np.array([0, 9, 0], "<u2").tobytes()))
    assert verdicts.codes.tolist() == [0, Code.UNKNOWN_POINT, 0]
    assert "no known point" in verdicts.reason(1)


def test_a_point_with_a_dangerous_name_is_refused_and_its_neighbour_is_not():
    points = [pb.Point(machine="P-101", channel="x"), pb.Point(machine="../../etc", channel="x")]
    verdicts = judged(batch(1, 2, points=points, point=np.array([0, 1], "<u2").tobytes()))
    assert verdicts.codes.tolist() == [0, Code.UNKNOWN_POINT]


def test_a_scale_that_is_not_finite_condemns_the_batch():
    assert not judged(batch(1, 2, scale=float("nan"))).good.any()


@pytest.mark.parametrize(
    "broken",
    [
        {"values": b"\x00" * 5},
        {"point": b"\x00"},
        {"event_time": b"\x00" * 8},
        {"quality": b"\x00\x00\x00"},
        {"dtype": 77},
        {"width": 0, "values": b""},
        {"kind": 77},
    ],
)
def test_a_batch_whose_columns_do_not_fit_is_malformed_and_says_why(broken):
    with pytest.raises(rules.Malformed) as failure:
        judged(batch(1, 2, **broken))
    assert failure.value.reason


def test_one_record_in_wire_form_holds_what_the_batch_held_of_it():
    message = batch(1, 4)
    one = pb.Batch.FromString(wire.single(read(message), 2))
    assert (one.first_sequence, one.count) == (3, 1)
    assert blocks.join(STREAM, [read(one)]).values.tolist() == [[30.0, 31.0, 32.0]]


@pytest.mark.parametrize("name", ["P-101", "Hall 2", "a", "9.x_y-z", "A" * 64])
def test_ordinary_names_are_taken(name):
    assert rules.check_id("site", name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "A" * 65, "-x", " x", "x ", "x.", "ä", "a\u202eb", "a\nb", "x=%"],
)
def test_names_that_could_trick_a_path_are_refused(name):
    with pytest.raises(WrongUse, match="is no name"):
        rules.check_id("site", name)


@pytest.mark.parametrize(
    "schema",
    [
        Schema(1, COLUMNS, ("g", "g", "1")),
        Schema(schema_id(("a@1", "a@1")), ("a@1", "a@1"), ("", "")),
        Schema(schema_id(("device",)), ("device",), ("",)),
        Schema(schema_id(()), (), ()),
        Schema(schema_id(("a@1",)), ("a@1",), ()),
    ],
    ids=["wrong id", "twice", "not an id", "empty", "units"],
)
def test_a_schema_that_is_not_what_it_says_is_refused(schema):
    with pytest.raises(WrongUse):
        rules.check_schema(schema)


@pytest.mark.parametrize(("first", "count"), [(0, 1), (1, 0), (2**63, 1), (1, 70_000)])
def test_impossible_sequence_numbers_are_refused(first, count):
    with pytest.raises(WrongUse):
        rules.check_range(first, count)
