"""From what a bus delivers to a window."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sensors.assembler import Assembler
from edge.sensors.measurement import BadData, RisingClock, WindowMaker, decode
from edge.sensors.wired import ChannelConfig
from edge.types import Quality

CHANNELS = (
    ChannelConfig(name="x", unit="g", rate_hz=1000.0, scale=0.5, offset=1.0),
    ChannelConfig(name="y", unit="g", rate_hz=500.0),
    ChannelConfig(name="t", kind="scalar", unit="C"),
)


def maker() -> WindowMaker:
    return WindowMaker("P-101", CHANNELS, clock_ns=lambda: 77)


def samples(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int16)


@given(st.lists(st.integers(1, 2**61), min_size=1, max_size=30))
def test_event_times_rise_whatever_the_clock_does_and_what_was_moved_is_marked(said):
    clock, before, last = RisingClock(), 0, None
    for time_ns in said:
        if time_ns == last:
            with pytest.raises(BadData):
                clock.place(time_ns)
            continue
        last = time_ns
        placed, quality = clock.place(time_ns)
        assert placed > before
        assert (quality is Quality.GOOD) == (placed == time_ns)
        before = placed


def test_a_clock_that_was_set_back_keeps_its_spacing_until_it_has_caught_up():
    clock = RisingClock()
    placed = [clock.place(t) for t in (1000, 100, 200, 1500)]
    assert placed == [
        (1000, Quality.GOOD),
        (1001, Quality.SUSPECT_CLOCK),
        (1101, Quality.SUSPECT_CLOCK),
        (1500, Quality.GOOD),
    ]


def test_counts_become_units_and_a_measurement_without_a_time_has_that_of_its_arrival():
    window = maker().make(None, {"x": samples(4), "y": samples(2), "t": np.array([3])})
    assert window.time_ns == 77
    assert window.samples["x"].tolist() == [1.0, 1.5, 2.0, 2.5]
    assert window.quality is Quality.GOOD


def test_a_window_without_a_waveform_is_incomplete_and_one_without_a_slow_value_is_not():
    assert maker().make(1, {"x": samples(4), "t": samples(1)}).quality is Quality.INCOMPLETE
    assert maker().make(1, {"x": samples(4), "y": samples(2)}).quality is Quality.GOOD


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "no channel"),
        ({"z": samples(3)}, "'z' is not configured"),
        ({"x": samples(0)}, "no list of 1 to"),
        ({"x": np.zeros((2, 2))}, "no list of 1 to"),
        ({"x": np.array(["a"])}, "no list of 1 to"),
        ({"x": samples(4), "y": samples(4)}, "do not last equally long"),
    ],
)
def test_what_is_no_measurement_of_this_machine_is_refused_and_takes_no_time(values, said):
    one = maker()
    with pytest.raises(BadData, match=said):
        one.make(5, values)
    assert one.make(5, {"t": samples(1)}).time_ns == 5


@pytest.mark.parametrize("kind", ["i2", "i4", "f4", "f8"])
def test_packed_samples_are_those_that_were_packed(kind):
    data = base64.b64encode(np.array([1, -2, 300], dtype=f"<{kind}").tobytes()).decode()
    time_ns, values = decode(json.dumps({"time_ns": 9, "channels": {"x": {"type": kind, "data": data}}}).encode())
    assert time_ns == 9
    assert values["x"].tolist() == [1, -2, 300]


def test_a_missing_value_is_not_finite_so_that_the_detector_sees_a_faulty_sensor():
    _, values = decode(b'{"channels": {"x": [1, null], "t": 4}}')
    assert np.isnan(values["x"][1])
    assert values["t"].tolist() == [4]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"channels": {"x": "loud"}}',
        b'{"channels": {"x": [1, "a"]}}',
        b'{"channels": {"x": [1e999]}}',
        b'{"channels": {"x": {"type": "i2", "data": "AAA="}}, "time_ns": "now"}',
        b'{"channels": {"x": {"type": "i2", "data": "A"}}}',
        b'{"channels": {"x": {"type": "i2", "data": "AAAA"}}}',
        b'{"channels": {"x": {"type": "O", "data": "AAAA"}}}',
        b'{"channels": {}, "colour": 1}',
        b'{"channels": ' + b"[" * 5000,
    ],
)
def test_what_is_not_the_documented_json_is_refused_with_a_reason(line):
    with pytest.raises(BadData, match=r"is no measurement: .+docs/sources\.md"):
        decode(line)


def test_a_measurement_is_complete_when_each_waveform_has_come_with_the_slow_values_before_it():
    collect = Assembler(["x", "y"], 1.0)
    assert collect.add("t", 1, samples(1)) == []
    assert collect.add("x", 2, samples(4)) == []
    assert collect.add("t", 3, samples(2)) == []
    [(time_ns, values)] = collect.add("y", 4, samples(2))
    assert time_ns == 2
    assert {n: v.size for n, v in values.items()} == {"x": 4, "y": 2, "t": 3}


def test_a_second_block_of_a_waveform_ends_a_measurement_that_lacks_the_others():
    collect = Assembler(["x", "y"], 1.0)
    collect.add("x", 1, samples(4))
    [(time_ns, values)] = collect.add("x", 9, samples(4))
    assert (time_ns, set(values)) == (1, {"x"})
    [(time_ns, values)] = collect.add("y", 10, samples(4))
    assert (time_ns, set(values)) == (9, {"x", "y"})


def test_a_machine_of_slow_channels_has_a_measurement_every_period():
    collect = Assembler([], 1.0)
    found = [collect.add("t", i * 400_000_000, samples(1)) for i in range(1, 7)]
    assert [[(at, v["t"].size) for at, v in done] for done in found] == [[], [], [], [(400_000_000, 3)], [], []]


def test_slow_values_that_nobody_takes_are_bounded():
    collect = Assembler(["x"], 1.0)
    for i in range(50):
        collect.add("t", i, samples(1000))
    [(_, values)] = collect.add("x", 60, samples(4))
    assert values["t"].size == 4096
