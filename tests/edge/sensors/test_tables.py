"""Tables in CSV and Parquet: slow ones row by row, fast ones in windows; each bad cell is named by its line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge.sensors.formats.options import Options
from edge.types import ChannelKind, Quality


def write(folder: Path, text: str, name: str = "pump.csv", described: str = "") -> Path:
    (folder / name).write_text(text)
    if described:
        (folder / name).with_suffix(".toml").write_text(described)
    return folder / name


SLOW = "timestamp,pressure,anomaly\n2026-01-01 00:00:00,1.5,0\n2026-01-01 00:00:01,1.6,0\n2026-01-01 00:00:03,1.7,1\n"


def test_a_table_with_dates_is_replayed_row_by_row_at_its_own_time(tmp_path, find) -> None:
    (recording,), refused = find(write(tmp_path, SLOW))
    assert refused == []
    (channel,) = recording.machine.channels
    assert (channel.name, channel.kind) == ("pressure", ChannelKind.SCALAR), "labels are no channels"
    windows = list(recording.open().windows())
    start = int(datetime.fromisoformat("2026-01-01T00:00:00+00:00").timestamp()) * 1_000_000_000
    assert [(w.time_ns - start) / 1e9 for w in windows] == [0.0, 1.0, 3.0]
    assert [w.samples["pressure"].tolist() for w in windows] == [
        [pytest.approx(1.5)],
        [pytest.approx(1.6)],
        [pytest.approx(1.7)],
    ]


def test_time_that_does_not_move_on_is_flagged_and_kept(tmp_path, find) -> None:
    text = "time,p\n2026-01-01 00:00:00,1\n2026-01-01 00:00:00,2\n2026-01-01 00:00:02,3\n"
    (recording,), _ = find(write(tmp_path, text))
    assert [bool(w.quality & Quality.SUSPECT_CLOCK) for w in recording.open().windows()] == [False, True, False]


def test_an_even_fast_clock_makes_a_waveform_of_that_rate(tmp_path, find) -> None:
    rows = "\n".join(f"{i / 1000:.3f};{np.sin(i):.6f};{i}" for i in range(1000))
    (recording,), _ = find(write(tmp_path, f"time;x;y\n{rows}\n"), options=Options(window_samples=400))
    assert [(c.name, c.kind, c.rate_hz) for c in recording.machine.channels] == [
        ("x", ChannelKind.WAVEFORM, pytest.approx(1000.0)),
        ("y", ChannelKind.WAVEFORM, pytest.approx(1000.0)),
    ]
    windows = list(recording.open().windows())
    assert [w.samples["y"].size for w in windows] == [400, 400], "a remainder of exactly or under half is left out"
    assert windows[1].samples["y"][0] == 400.0


def test_a_fast_clock_that_is_uneven_makes_no_spectrum(tmp_path, find) -> None:
    rows = "\n".join(f"{i / 1000 + (0.5 if i > 50 else 0):.3f},{i}" for i in range(100))
    (recording,), _ = find(write(tmp_path, f"t,y\n{rows}\n"))
    assert recording.machine.channels[0].kind is ChannelKind.SCALAR


def test_a_remainder_of_more_than_half_is_a_window(tmp_path, find) -> None:
    rows = "\n".join(f"{i / 1000:.3f},{i}" for i in range(1000))
    (recording,), _ = find(write(tmp_path, f"t,y\n{rows}\n"), options=Options(window_samples=390))
    assert [w.samples["y"].size for w in recording.open().windows()] == [390, 390, 220]


DESCRIBED = """
name = "Pump 7"
machine_class = "pump"
rate_hz = 2000
unit = "g"
units = { y = "mm/s" }
scale = 2.0
speed_rpm = 1480
window_samples = 100
bearing = { balls = 9, ball_diameter = 7.94, pitch_diameter = 39.04 }
"""


def test_a_sidecar_says_what_the_file_does_not(tmp_path, find) -> None:
    text = "x,y\n" + "\n".join("1,2" for _ in range(100))
    (recording,), _ = find(write(tmp_path, text, described=DESCRIBED))
    machine = recording.machine
    assert (machine.name, machine.machine_class, machine.speed_rpm) == ("Pump 7", "pump", 1480.0)
    assert machine.bearing is not None
    assert [(c.unit, c.rate_hz) for c in machine.channels] == [("g", 2000.0), ("mm/s", 2000.0)]
    (window,) = recording.open().windows()
    assert set(window.samples["x"].tolist()) == {2.0}


@pytest.mark.parametrize(
    ("described", "what"),
    [
        ("rate = 5", "unknown field"),
        ("rate_hz = 'fast'", "rate_hz"),
        ("rate_hz = 0", "rate_hz is 0"),
        ("not toml", "pump.toml"),
        ("bearing = { balls = 0, ball_diameter = 1, pitch_diameter = 2 }", "balls"),
        ("bearing = { balls = 9, ball_diameter = 3, pitch_diameter = 2 }", "ball_diameter"),
        ("bearing = 'ACME 1'", "no bearing 'ACME 1'"),
    ],
)
def test_a_wrong_sidecar_is_refused_by_key(tmp_path, find, described: str, what: str) -> None:
    _, (problem,) = find(write(tmp_path, "x\n1\n", described=described))
    assert what in str(problem)
    assert problem.where.endswith("pump.toml")


def test_a_file_of_another_rate_than_its_sidecar_says_is_refused(tmp_path, find) -> None:
    rows = "\n".join(f"{i / 1000:.3f},{i}" for i in range(100))
    _, (problem,) = find(write(tmp_path, f"t,y\n{rows}\n", described="rate_hz = 25600"))
    assert "1000 Hz" in problem.what
    assert "25600 Hz" in problem.what


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("t,x\n1,2\n2,3,4\n", "3 cells, the header has 2", 3),
        ("t,x\n1,2\n2\n", "1 cells, the header has 2", 3),
        ("t,x\n0.00,2\n0.01,nan\n", "x is empty", 3),
        ("t,x\n0.00,2\n0.01,\n", "x is empty", 3),
        ("t,x\n1,\n2,nan\n", "all its cells are empty", None),
        ("t,x\n1,2\n2,inf\n", "x is 'inf'", 3),
        ("t,x\n1,2\n2,high\n", "x is 'high'", 3),
        ("t,x\n1,2\n\nyesterday,3\n", "'yesterday' is no time", 4),
        ("t,x\n", "no rows", None),
        ("t\n1\n", "names no measurement", 1),
        ("1,2\n3,4\n", "names no measurement", 1),
        ("x,x\n3,4\n", "two columns have one name", 1),
        ("x,y\n3,4\n", "nothing says how fast", None),
        ('t,x\n1,"2\n', "no CSV", None),
    ],
)
def test_a_bad_line_of_csv_is_named(tmp_path, find, text: str, what: str, line: int | None) -> None:
    path = write(tmp_path, text)
    found, (problem,) = find(path)
    assert found == []
    assert what in problem.what
    assert problem.where == (f"{path}:{line}" if line else str(path))
    assert problem.mend


def test_a_csv_larger_than_the_bound_is_refused_unread(tmp_path, find, monkeypatch) -> None:
    monkeypatch.setattr("edge.sensors.formats.comma.LARGEST_BYTES", 10)
    _, (problem,) = find(write(tmp_path, SLOW))
    assert "larger" in problem.what


def parquet(folder: Path, columns: dict, metadata: dict | None = None) -> Path:
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata), folder / "pump.parquet")
    return folder / "pump.parquet"


def test_parquet_with_a_rate_in_its_metadata_is_a_waveform(tmp_path, find) -> None:
    x = np.arange(20_000, dtype=np.float64)
    path = parquet(tmp_path, {"x": x, "label": x}, {"rate_hz": "48000"})
    (recording,), _ = find(path)
    assert [(c.name, c.rate_hz) for c in recording.machine.channels] == [("x", 48_000.0)]
    windows = list(recording.open().windows())
    assert [w.samples["x"][0] for w in windows] == [0.0, 8192.0]


@pytest.mark.parametrize("times", ["timestamp", "text", "seconds"])
def test_parquet_with_a_clock_is_a_slow_table_whatever_the_clocks_type(tmp_path, find, times: str) -> None:
    moments = [datetime(2026, 1, 1, 0, i, 0) for i in range(5)]
    column = {
        "timestamp": pa.array(moments, pa.timestamp("us")),
        "text": [str(m) for m in moments],
        "seconds": [60.0 * i for i in range(5)],
    }[times]
    (recording,), _ = find(parquet(tmp_path, {"time": column, "x": [1.0, 2, 3, 4, 5]}))
    windows = list(recording.open().windows())
    assert [w.time_ns - windows[0].time_ns for w in windows] == [i * 60_000_000_000 for i in range(5)]
    assert (recording.dated_ns is None) == (times == "seconds")


@pytest.mark.parametrize(
    ("columns", "metadata", "expected"),
    [
        ({"time": [0.0, 0.01, 0.02], "x": [1.0, np.nan, 3.0]}, None, ("x is empty", 1)),
        ({"x": [1.0, None, 3.0]}, {"rate_hz": "100"}, ("x is empty", 1)),
        ({"time": [0.0, 1.0, 2.0], "x": [1.0, np.inf, 3.0]}, None, ("x is not a finite number", 1)),
        ({"time": [0.0, 1.0, 2.0], "x": [None, np.nan, None]}, None, ("all its cells are empty", None)),
        ({"time": [0.0, 1.0, 2.0], "x": ["a", "b", "c"]}, None, ("column x holds string", None)),
        ({"time": [datetime(2026, 1, 1), None], "x": [1.0, 2.0]}, None, ("time is empty", 1)),
        ({"time": ["2026-01-01", "soon"], "x": [1.0, 2.0]}, None, ("'soon' is no time", 1)),
        ({"time": [0.0, 1.0]}, None, ("no column of measurements", None)),
        ({"x": [1.0, 2.0]}, None, ("nothing says how fast", None)),
        ({"x": [1.0, 2.0]}, {"rate_hz": "quick"}, ("rate_hz in the file's metadata", None)),
        ({"x": [1.0, 2.0]}, {"rate_hz": "-5"}, ("rate_hz in the file's metadata", None)),
        ({"time": pa.array([], pa.float64()), "x": pa.array([], pa.float64())}, None, ("no rows", None)),
    ],
)
def test_a_bad_parquet_table_is_refused_with_its_row(tmp_path, find, columns, metadata, expected) -> None:
    what, row = expected
    path = parquet(tmp_path, columns, metadata)
    found, (problem,) = find(path)
    assert found == []
    assert what in problem.what
    assert problem.where == (f"{path}:{row}" if row is not None else str(path))


def test_real_tables_keep_their_rows_and_dates(recordings, find) -> None:
    (skab,), _ = find(recordings / "skab" / "other_1.parquet")
    assert (skab.count, len(skab.machine.channels)) == (745, 8)
    assert {c.unit for c in skab.machine.channels} == {"g", "A", "bar", "C", "V", "l/min"}
    (nab,), _ = find(recordings / "nab")
    assert (nab.count, [c.name for c in nab.machine.channels]) == (7267, ["value"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_empty_cell_of_a_slow_table_is_a_channel_that_was_not_measured_then(tmp_path, find, kind: str) -> None:
    if kind == "csv":
        write(tmp_path, "t,x,y\n0,1,5\n60,,6\n120,nan,\n180,4,8\n")
    else:
        parquet(tmp_path, {"t": [0.0, 60.0, 120.0, 180.0], "x": [1, None, None, 4], "y": [5.0, 6.0, np.nan, 8.0]})
    (recording,), refused = find(tmp_path)
    assert not refused
    heard = [{n: float(v[0]) for n, v in w.samples.items()} for w in recording.open().windows()]
    assert heard == [{"x": 1.0, "y": 5.0}, {"y": 6.0}, {}, {"x": 4.0, "y": 8.0}]
