"""Bearing rigs: one record is a machine with its speed and geometry; labels and give-away scales stay outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BEARING = {"balls": 9, "ball_diameter_mm": 7.94, "pitch_diameter_mm": 39.04, "contact_deg": 0}


def cwru(folder: Path, rows: dict[str, list[int]], records: object, **meta: object) -> Path:
    table = pa.table({"key": list(rows), "counts": pa.array(list(rows.values()), pa.list_(pa.int32()))})
    pq.write_table(table, folder / "cwru.parquet", row_group_size=2)
    (folder / "meta.json").write_text(json.dumps({"records": records, "bearing": BEARING, **meta}))
    return folder / "cwru.parquet"


def record(scale: float = 0.5, fs_hz: float = 12_000, **more: object) -> dict:
    return {"scale": {"DE": scale, "FE": scale}, "fs_hz": fs_hz, "rpm": 1797, "fault": "IR", **more}


def test_the_channels_of_a_cwru_record_are_one_machine_in_g(tmp_path, find) -> None:
    counts = list(range(20_000))
    path = cwru(
        tmp_path,
        {"IR@6_0__DE": counts, "IR@6_0__FE": counts, "N__DE": counts},
        {"IR@6_0": record(), "N": record(rpm=None)},
    )
    (one, other), refused = find(path)
    assert refused == []
    assert (one.name, one.machine.speed_rpm, other.machine.speed_rpm) == ("IR-6_0", 1797.0, None)
    assert one.machine.bearing is not None
    assert [c.name for c in one.machine.channels] == ["DE", "FE"]
    windows = list(one.open().windows())
    assert [w.samples["DE"].size for w in windows] == [8192, 8192], "a remainder under half a window is left out"
    assert windows[1].samples["FE"][0] == 8192 * 0.5
    assert windows[1].time_ns - windows[0].time_ns == round(8192e9 / 12_000)


def test_a_record_at_48_khz_is_brought_to_the_others_rate(tmp_path, find) -> None:
    t = np.arange(200_000) / 48_000.0
    tone_hz = 683 * 12_000 / 8192  # on a line of the window
    tone = np.round(10_000 * (np.sin(2 * np.pi * tone_hz * t) + np.sin(2 * np.pi * 9000 * t))).astype(int).tolist()
    (found,), _ = find(cwru(tmp_path, {"N__DE": tone}, {"N": record(1e-4, 48_000)}))
    x = next(found.open().windows()).samples["DE"]
    lines = np.abs(np.fft.rfft(x * np.hanning(x.size))) / x.size * 4
    hz = np.fft.rfftfreq(x.size, 1 / 12_000.0)
    assert lines[np.abs(hz - tone_hz) < 1].max() == pytest.approx(1.0, abs=0.01)
    assert lines[np.abs(hz - 3000) < 50].max() < 1e-3, "9 kHz must not fold down to 3 kHz"


@pytest.mark.parametrize("broken", [None, {}, {"scale": {"DE": "x"}, "fs_hz": 1}, record(fs_hz=10_000)])
def test_a_record_that_meta_json_does_not_describe_is_refused_alone(tmp_path, find, broken) -> None:
    rows = {"A__DE": [1] * 9000, "B__DE": [2] * 9000}
    (good,), (problem,) = find(cwru(tmp_path, rows, {"A": record(), "B": broken}))
    assert good.name == "A"
    assert problem.where.endswith("cwru.parquet:1")
    assert "'B'" in problem.what


def test_cwru_without_its_scales_is_refused(tmp_path, find) -> None:
    path = cwru(tmp_path, {"A__DE": [1] * 9000}, {})
    (tmp_path / "meta.json").unlink()
    _, (problem,) = find(path)
    assert "meta.json" in problem.what


@pytest.mark.parametrize("bearing", [{"balls": 0}, "6205", {**BEARING, "ball_diameter_mm": 50}])
def test_an_impossible_geometry_is_refused(tmp_path, find, bearing) -> None:
    path = cwru(tmp_path, {"A__DE": [1] * 9000}, {"A": record()}, bearing=bearing)
    _, (problem,) = find(path)
    assert "bearing" in problem.what


def single(folder: Path, rows: list[dict], drop: str = "") -> Path:
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.drop_columns([drop] if drop else []), folder / "rig.parquet")
    return folder / "rig.parquet"


def row(file: str = "rig a/IR_1.mat", **more: object) -> dict:
    return {"file": file, "rig": "rig a", "fs_hz": 51_200, "rpm": 600, "pow10": 2, "counts": [100, -250] * 5000, **more}


def test_single_channel_rows_have_their_own_rate_speed_and_power_of_ten(tmp_path, find) -> None:
    rows = [row(), row("rig b/IR_1.mat", rig="rig b"), row("OR_2.mat", fs_hz=48_000, pow10=0, rpm=None)]
    found, refused = find(single(tmp_path, rows))
    assert refused == []
    assert [r.name for r in found] == ["IR_1 rig a", "IR_1 rig b", "OR_2"]
    assert [r.machine.speed_rpm for r in found] == [600.0, 600.0, None]
    assert found[2].machine.channels[0].rate_hz == 48_000.0
    assert next(found[0].open().windows()).samples["vibration"][:2].tolist() == pytest.approx([1.0, -2.5])


def test_records_of_one_name_in_several_folders_of_a_rig_are_all_heard(tmp_path, find) -> None:
    rows = [row("day 1/IR_1.mat"), row("day 2/IR_1.mat"), row("day 2/OR_1.mat")]
    found, refused = find(single(tmp_path, rows))
    assert refused == []
    assert [r.name for r in found] == ["IR_1 0", "IR_1 1", "OR_1"]
    assert [r.called["vibration"] for r in found] == [r["file"] for r in rows]


def test_geometry_follows_from_race_frequencies(tmp_path, find) -> None:
    (found,), _ = find(single(tmp_path, [row(rpm=None, shaft_hz=25.0, bpfo_hz=81.125, bpfi_hz=118.875)]))
    bearing = found.machine.bearing
    assert bearing is not None
    assert (bearing.balls, found.machine.speed_rpm) == (8, 1500.0)
    assert bearing.ball_diameter / bearing.pitch_diameter == pytest.approx(0.18875)


@pytest.mark.parametrize("wrong", [{"fs_hz": 0}, {"fs_hz": -1}, {"pow10": 99}, {"counts": []}, {"counts": None}])
def test_one_bad_row_does_not_cost_the_others(tmp_path, find, wrong: dict) -> None:
    found, (problem,) = find(single(tmp_path, [row("a.mat"), row("b.mat", **wrong), row("c.mat")]))
    assert [r.name for r in found] == ["a", "c"]
    assert problem.where == f"{tmp_path / 'rig.parquet'}:1"


@pytest.mark.parametrize("column", ["file", "fs_hz", "pow10"])
def test_a_missing_column_is_named(tmp_path, find, column: str) -> None:
    _, (problem,) = find(single(tmp_path, [row()], drop=column))
    assert f"column {column} missing" in problem.what


def test_what_was_wrong_with_a_machine_is_nowhere_in_what_the_agent_sees(recordings, find) -> None:
    found, _ = find(recordings / "hit_sm")
    assert {c.name for r in found for c in r.machine.channels} == {"vibration"}
    assert all(set(w.samples) == {"vibration"} for w in found[0].open().windows())
