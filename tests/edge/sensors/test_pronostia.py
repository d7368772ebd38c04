"""PRONOSTIA recordings: physical units, the rig's clock, the thermometer and its drop-outs, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from edge.sensors import RECORDING_START_NS
from edge.sensors.formats.clock import DayClock
from edge.types import ChannelKind, Quality


def test_snapshots_become_windows_in_g_ten_seconds_apart(pronostia, find) -> None:
    path = pronostia(rows=130)
    (recording,), refused = find(path.parent)
    assert refused == []
    assert (recording.name, recording.count, recording.start_ns) == ("Bearing9_9", 130, RECORDING_START_NS)
    windows = list(recording.open().windows())
    assert [w.time_ns - RECORDING_START_NS for w in windows] == [i * 10_000_000_000 for i in range(130)]
    assert recording.last_ns == windows[-1].time_ns
    raw = pa.parquet.read_table(path)["horiz_mg"].to_pylist()
    for i in (0, 63, 64, 129):
        assert windows[i].samples["horizontal"].tolist() == (np.array(raw[i]) / 1000.0).astype(np.float32).tolist()
    assert recording.machine.speed_rpm is None
    assert [c.name for c in recording.machine.channels] == ["horizontal", "vertical"]


def test_speed_comes_from_the_folders_meta_file(pronostia, find) -> None:
    path = pronostia()
    meta = path.parent / "meta.json"
    meta.write_text(json.dumps({"bearings": {"Bearing9_9": {"condition": {"rpm": 1650}}}}))
    (recording,), _ = find(path)
    assert recording.machine.speed_rpm == 1650.0
    for odd in ('{"bearings": [1]}', '{"bearings": {"Bearing9_9": {"condition": {"rpm": null}}}}', "{}"):
        meta.write_text(odd)
        (recording,), refused = find(path)
        assert (recording.machine.speed_rpm, refused) == (None, [])


def test_a_broken_meta_file_is_told_and_done_without(pronostia, find) -> None:
    path = pronostia()
    (path.parent / "meta.json").write_text("{")
    (recording,), (problem,) = find(path)
    assert recording.count == 12
    assert problem.where.endswith("meta.json")


def test_a_start_of_ones_own_moves_all_events(pronostia, find) -> None:
    (recording,), _ = find(pronostia())
    windows = list(recording.open(start_ns=5).windows())
    assert (windows[0].time_ns, windows[1].time_ns) == (5, 10_000_000_005)


def test_the_clock_runs_on_over_midnight(pronostia, find) -> None:
    (recording,), _ = find(pronostia(start=86_370.0, degrees=[40.0] * 1200))
    windows = list(recording.open().windows())
    assert recording.last_offset_ns == 110_000_000_000
    assert all(w.quality is Quality.GOOD for w in windows)
    assert [w.samples["temperature"].size for w in windows] == [1] + [100] * 11


def test_a_thermometer_switched_on_after_midnight_belongs_to_the_same_night(pronostia, find) -> None:
    (recording,), _ = find(pronostia(start=86_390.0, degrees=[40.0] * 600, degrees_start=5.0))
    windows = list(recording.open().windows())
    assert [w.samples["temperature"].size if "temperature" in w.samples else 0 for w in windows[:4]] == [0, 0, 51, 100]


def test_a_clock_that_jumps_is_flagged_and_not_followed(pronostia, find) -> None:
    """As in Bearing1_1: two snapshots carry the time of the start."""
    times = [36_000.0 + 10.0 * i for i in range(12)]
    times[5] = times[6] = 36_000.0
    (recording,), _ = find(pronostia(times=times))
    windows = list(recording.open().windows())
    offsets = [(w.time_ns - RECORDING_START_NS) / 1e9 for w in windows]
    assert offsets == pytest.approx([10.0 * i for i in range(12)])
    assert [i for i, w in enumerate(windows) if w.quality & Quality.SUSPECT_CLOCK] == [5, 6]


def test_a_clock_that_was_set_back_is_believed_again_when_it_runs_evenly() -> None:
    clock = DayClock(10.0)
    readings = [1000.0 + 10 * i for i in range(5)] + [500.0 + 10 * i for i in range(8)]
    doubts = [bool(clock.advance(r) & Quality.SUSPECT_CLOCK) for r in readings]
    assert doubts == [False] * 5 + [True] * 4 + [False] * 4
    assert clock.offset_s == pytest.approx(120.0)


def test_the_thermometers_samples_since_the_last_window_come_with_it(pronostia, find) -> None:
    degrees = [30.0 + 0.01 * i for i in range(1200)]
    (recording,), _ = find(pronostia(degrees=degrees))
    temperature = recording.machine.channels[2]
    assert (temperature.name, temperature.kind, temperature.unit) == ("temperature", ChannelKind.SCALAR, "C")
    windows = list(recording.open().windows())
    got = np.concatenate([w.samples["temperature"] for w in windows])
    assert got == pytest.approx(np.array(degrees[: got.size]), abs=1e-3)
    assert windows[0].samples["temperature"].size == 1, "nothing from after the window's start"
    assert windows[5].samples["temperature"].size == 100


def test_a_drop_out_of_the_thermometer_is_a_missing_value_and_not_1254_degrees(pronostia, find) -> None:
    degrees = [50.0] * 1200
    degrees[150:160] = [1254.0] * 10
    degrees[301:401] = [1254.0] * 100
    (recording,), _ = find(pronostia(degrees=degrees))
    windows = list(recording.open().windows())
    assert max(w.samples["temperature"].max() for w in windows if "temperature" in w.samples) == 50.0
    assert [i for i, w in enumerate(windows) if w.faulty] == [2, 4]
    assert windows[2].samples["temperature"].size == 90
    assert "temperature" not in windows[4].samples
    assert windows[2].quality & Quality.SENSOR_FAULT
    assert windows[2].quality_of("horizontal") is Quality.GOOD


def test_a_bad_thermometer_file_is_told_and_the_vibration_goes_on(pronostia, find) -> None:
    path = pronostia(degrees=[50.0] * 600)
    thermometer = path.with_name("Bearing9_9_temp.parquet")
    thermometer.write_bytes(thermometer.read_bytes()[:500])
    (recording,), (problem,) = find(path.parent)
    assert [c.name for c in recording.machine.channels] == ["horizontal", "vertical"]
    assert "_temp.parquet" in problem.where
    assert "cut short" in problem.what


def test_a_thermometer_without_its_vibration_is_told(pronostia, find) -> None:
    path = pronostia(degrees=[50.0] * 600)
    path.unlink()
    _, (problem,) = find(path.parent)
    assert "without its vibration" in problem.what


def drop(name: str):
    return lambda columns: columns.pop(name)


def put(name: str, value: object):
    return lambda columns: columns.update({name: value})


def floats_with_nan(row: int) -> pa.Array:
    values = np.zeros((12, 256), np.float32)
    values[row, 0] = np.nan
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 256)


def ints_with_null(row: int) -> pa.Array:
    values = np.zeros(12 * 256, np.int32)
    mask = np.zeros(values.size, bool)
    mask[row * 256 + 3] = True
    return pa.FixedSizeListArray.from_arrays(pa.array(values, mask=mask), 256)


@pytest.mark.parametrize(
    ("change", "what", "row"),
    [
        (drop("vert_mg"), "column vert_mg missing", None),
        (drop("hour"), "column hour missing", None),
        (put("horiz_mg", floats_with_nan(7)), "horiz_mg is not a finite number", 7),
        (put("horiz_mg", ints_with_null(4)), "horiz_mg is not a finite number", 4),
        (put("vert_mg", pa.array([[1, 2, 3]] * 5 + [[]] + [[1, 2]] * 6)), "vert_mg is empty", 5),
        (put("vert_mg", pa.array([[1, 2, 3]] * 5 + [None] + [[1, 2]] * 6)), "vert_mg is empty", 5),
        (put("vert_mg", pa.array([["a"]] * 12)), "not numbers", None),
        (put("vert_mg", pa.array([1] * 12)), "not lists of numbers", None),
        (put("hour", pa.array(["9"] * 12)), "column hour holds string", None),
        (put("second", pa.array([1] * 9 + [None] * 3, pa.int16())), "second is not a finite number", 9),
    ],
)
def test_what_is_wrong_inside_is_named_with_its_row_and_the_others_go_on(
    pronostia, find, change, what: str, row: int | None
) -> None:
    bad = pronostia("Bad", change=change)
    pronostia("Good")
    (good,), (problem,) = find(bad.parent)
    assert good.name == "Good"
    assert what in problem.what
    assert problem.where == (f"{bad}:{row}" if row is not None else str(bad))
    assert problem.mend


def test_real_bearings_have_the_lives_and_levels_that_their_description_gives(recordings, find) -> None:
    found, refused = find(recordings / "pronostia", only=["Bearing1_1", "Bearing2_2"])
    assert refused == []
    for recording, count, life, ends in zip(
        found, (2803, 797), (28_020, 7960), ((0.55, 5.19), (0.29, 1.60)), strict=True
    ):
        assert (recording.count, recording.last_offset_ns / 1e9) == (count, pytest.approx(life, abs=1))
        windows = list(recording.open().windows())
        rms = [float(np.sqrt(np.mean(w.samples["horizontal"] ** 2))) for w in (*windows[:10], *windows[-10:])]
        assert np.mean(rms[:10]) == pytest.approx(ends[0], abs=0.01)
        assert np.mean(rms[10:]) == pytest.approx(ends[1], abs=0.01)
    assert found[0].machine.speed_rpm == 1800.0
    assert len(found[1].machine.channels) == 2, "Bearing2_2 has no thermometer"
