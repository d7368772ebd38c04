"""Slow channels from a folder to lines and figures, on tiny folders in the data sets' formats."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from forewarn.cli import root
from forewarn.evaluation import ims, nab, skab
from forewarn.evaluation.nab_score import nab_score
from models.errors import WrongUse

FIRST = datetime(2020, 3, 1)


def table(path: Path, step_s: float, time: str, **columns: np.ndarray) -> None:
    rows = len(next(iter(columns.values())))
    stamps = [str(FIRST + timedelta(seconds=step_s * i)) for i in range(rows)]
    pq.write_table(pa.table({time: stamps, **columns}), path)


def pump(path: Path, seed: int, *, rows: int = 560) -> None:
    rng = np.random.default_rng(seed)
    marks = np.zeros(rows, np.int64)
    marks[450:520] = 1
    flow, heat = rng.standard_normal((2, rows))
    table(path, 1.0, "datetime", Flow=120.0 + flow - 8.0 * marks, Heat=70.0 + heat, anomaly=marks)


def pumps(folder: Path) -> tuple[Path, Path]:
    """A folder of three pumps to learn from, and an empty one."""
    train, test = folder / "train", folder / "test"
    train.mkdir()
    test.mkdir()
    for n in range(3):
        pump(train / f"pump_{n}.parquet", n)
    return train, test


def saved(lines: list, path: Path) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_pump_learns_from_marks_and_a_cut_stream_gives_the_same_lines(tmp_path: Path) -> None:
    train, test = pumps(tmp_path)
    pump(test / "whole.parquet", 9)
    cut = int(np.random.default_rng().integers(470, 560))
    pq.write_table(pq.read_table(test / "whole.parquet").drop(["anomaly"])[:cut], test / "cut.parquet")
    (test / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    told: list[str] = []
    lines = list(skab.evaluate(train, test, seed=7, say=told.append))
    assert any("broken" in t for t in told)
    by_file = {n: [{**line, "file": ""} for line in lines if line["file"] == n] for n in ("whole", "cut")}
    assert by_file["cut"] == by_file["whole"][:cut]
    result = skab.score(test, saved(lines, tmp_path / "lines.jsonl"))
    assert result["all"]["ours"]["f1"] > 0.85
    assert result["all"]["all_anomalous"]["far"] == 100


def test_empty_cells_cost_no_line_and_no_file(tmp_path: Path) -> None:
    train, test = pumps(tmp_path)
    pump(test / "holes.parquet", 9)
    whole = pq.read_table(test / "holes.parquet")
    empty = np.random.default_rng(1).random(whole.num_rows) < 0.05
    flow = pa.array(np.where(empty, np.nan, whole["Flow"].to_numpy()))
    heat = pa.array(whole["Heat"].to_numpy(), mask=empty)
    holes = whole.drop(["Flow", "Heat"]).append_column("Flow", flow).append_column("Heat", heat)
    pq.write_table(holes, test / "holes.parquet")
    pq.write_table(holes, train / "holes.parquet")
    lines = list(skab.evaluate(train, test, seed=7, say=lambda _: None))
    assert [line["row"] for line in lines] == list(range(whole.num_rows))
    assert skab.score(test, saved(lines, tmp_path / "lines.jsonl"))["all"]["ours"]["f1"] > 0.8


def test_a_temperature_with_a_fault_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    value = 70.0 + rng.standard_normal(1400) + 3.0 * np.sin(np.arange(1400) * 2 * np.pi / 24)
    value[1200:1230] += 25.0
    table(tmp_path / "room.parquet", 3600.0, "timestamp", value=value)
    edges = [str(FIRST + timedelta(hours=h)) for h in (1190, 1260)]
    labels = {"windows": [edges], "labels": [edges[0]], "probationary_rows": 210}
    (tmp_path / "room.json").write_text(json.dumps(labels))
    shorter = tmp_path / "shorter"
    shorter.mkdir()
    cut = int(np.random.default_rng().integers(760, 1400))
    pq.write_table(pq.read_table(tmp_path / "room.parquet")[:cut], shorter / "room.parquet")
    lines = list(nab.evaluate(tmp_path, tmp_path, seed=7, say=lambda _: None))
    assert list(nab.evaluate(tmp_path, shorter, seed=7, say=lambda _: None)) == lines[:cut]
    result = nab.score(tmp_path, saved(lines, tmp_path / "lines.jsonl"))["files"]["room"]
    assert result["ours"]["found"] == 1
    assert result["ours"] == result["at_limit"]["1.0"]
    assert all(at["found"] == 1 for at in result["at_limit"].values())
    assert result["ours"]["score"] > result["every_47_h"]["score"]


def test_a_bearing_that_grows_loud_is_named_and_its_neighbour_is_not(tmp_path: Path) -> None:
    rms = 0.08 + 0.001 * np.random.default_rng(2).standard_normal((2, 400))
    rms[0, 350:] += np.linspace(0.02, 0.1, 50)
    table(tmp_path / "ims_set3.parquet", 600.0, "timestamp", Bearing3_ch1_rms=rms[0], Bearing4_ch1_rms=rms[1])
    lines = list(ims.evaluate(tmp_path, tmp_path, seed=7, say=lambda _: None))
    result = ims.score(tmp_path, saved(lines, tmp_path / "lines.jsonl"))["sets"]["3"]["ours"]
    assert result == {"lead_h": {"3": pytest.approx(8.2, abs=0.2)}, "false_h": {}, "after_h": {}}


def test_an_alarm_elsewhere_is_false_before_the_right_one_and_named_after_it() -> None:
    left_h = np.arange(100.0, -1.0, -1.0)
    alarms = {"1": [10, 11], "2": [60, 61], "3": [41, 42, 43], "4": []}
    found = ims.judge(alarms, left_h, ["3"])
    assert found == {"lead_h": {"3": 59.0}, "false_h": {"1": 90.0}, "after_h": {"2": 40.0}}
    assert ims.in_words(found) == "bearing 3 59.0 h; false before: bearing 1 90.0 h; afterwards: bearing 2 40.0 h"
    too_early = ims.judge({"3": [*range(10, 101)], "2": [60]}, left_h, ["3"])
    assert too_early == {"lead_h": {"3": 90.0}, "false_h": {"3": 90.0, "2": 40.0}, "after_h": {}}, (
        "it stands at 80 h, too"
    )
    assert ims.in_words(too_early) == "bearing 3 90.0 h, over 80: false; false before: bearing 2 40.0 h"
    assert ims.judge({"3": []}, left_h, ["3"])["lead_h"] == {"3": None}
    unknown = ims.judge(alarms, left_h, [])
    assert (unknown["lead_h"], unknown["false_h"], len(unknown["after_h"])) == ({}, {}, 3)


def same_up_to(cut: int, lines: list[dict], key: str) -> bool:
    """Whether the shorter of two streams is the beginning of the other."""
    by_name: dict[str, list[dict]] = {}
    for line in lines:
        by_name.setdefault(line.pop(key), []).append(line)
    short, whole = sorted(by_name.values(), key=len)
    return max(x["row"] for x in short) == cut - 1 and short == [x for x in whole if x["row"] < cut]


def test_a_temperature_that_is_cut_at_random_gets_the_same_lines_up_to_the_cut(tmp_path: Path) -> None:
    value = 70.0 + np.random.default_rng(1).standard_normal(800) + np.linspace(0.0, 20.0, 800)
    cut = int(np.random.default_rng().integers(2, 800))
    for name, rows in (("whole", 800), ("cut", cut)):
        table(
            tmp_path / f"{name}.parquet", 3600.0, "timestamp", **{"value" if name == "cut" else "degrees": value[:rows]}
        )
    pump(tmp_path / "pump.parquet", 1)
    told: list[str] = []
    assert same_up_to(cut, list(nab.evaluate(tmp_path, tmp_path, seed=7, say=told.append)), "file")
    assert "not used: pump.parquet has 2 columns of measurements, not one" in told


def test_bearings_that_are_cut_at_random_get_the_same_lines_up_to_the_cut(tmp_path: Path) -> None:
    rms = 0.08 + 0.001 * np.random.default_rng(1).standard_normal((2, 300)) + np.linspace(0.0, 0.04, 300)
    cut = int(np.random.default_rng().integers(2, 300))
    for name, rows in (("ims_set2", 300), ("ims_set3", cut)):
        columns = {f"Bearing{n + 1}_ch1_rms": rms[n, :rows] for n in range(2)}
        table(tmp_path / f"{name}.parquet", 600.0, "timestamp", **columns)
    assert same_up_to(cut, list(ims.evaluate(tmp_path, tmp_path, seed=7, say=lambda _: None)), "set")


def test_lines_are_of_the_file_by_its_own_name_whatever_is_in_it(tmp_path: Path) -> None:
    """A name that no key may have, a file shorter than its healthy start, a clock that repeats and goes back."""
    for n in range(3):
        pump(tmp_path / f"pump_{n}.parquet", n)
    odd = tmp_path / "odd"
    odd.mkdir()
    whole = pq.read_table(tmp_path / "pump_1.parquet").drop(["anomaly"])
    pq.write_table(whole[:90], odd / "valve 3 (copy).parquet")
    stamps = whole["datetime"].to_pylist()
    stamps[430], stamps[440] = stamps[429], stamps[435]
    pq.write_table(whole.set_column(0, "datetime", [stamps]), odd / "clock.parquet")
    lines = list(skab.evaluate(tmp_path, odd, seed=7, say=lambda _: None))
    rows = {n: [line["row"] for line in lines if line["file"] == n] for n in ("valve 3 (copy)", "clock")}
    assert rows == {"valve 3 (copy)": list(range(90)), "clock": list(range(len(whole)))}
    assert len(lines) == 90 + len(whole)


def test_without_a_line_there_is_no_file_and_a_reason(tmp_path: Path) -> None:
    rms = 0.08 + 0.001 * np.random.default_rng(1).standard_normal(200)
    for name in ("rooms", "bearings"):
        (tmp_path / name).mkdir()
    table(tmp_path / "rooms" / "room.parquet", 3600.0, "timestamp", value=rms)
    table(tmp_path / "bearings" / "ims_set3.parquet", 600.0, "timestamp", Bearing3_ch1_rms=rms)
    args = ["evaluate", "ims", "--train", str(tmp_path / "bearings"), "--test", str(tmp_path / "rooms"), "--out"]
    for out, why in (
        (tmp_path / "lines.jsonl", "nothing to be said"),
        (tmp_path / "no" / "lines.jsonl", "cannot be w"),
    ):
        assert why in str(CliRunner().invoke(root, [*args, str(out)]).exception)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["bearings", "rooms"]


def test_nothing_said_is_a_clear_line(tmp_path: Path) -> None:
    pump(tmp_path / "pump.parquet", 1)
    with pytest.raises(WrongUse, match="pump"):
        skab.score(tmp_path, saved([], tmp_path / "lines.jsonl"))


def test_nabs_score_by_hand() -> None:
    windows = [(100, 199)]
    assert nab_score([], windows, 50)["score"] == 0
    assert nab_score([100, 150], windows, 50)["score"] == 100
    assert nab_score([10], windows, 50)["score"] == 0  # probation
    assert nab_score([60, 100], windows, 50)["score"] == pytest.approx(100 - 0.11 * 50)
    # the middle: y = -(199 - 150 + 1) / 100 = -0.5: (2 / (1 + e^-2.5) - 1) / (2 / (1 + e^-5) - 1) = 0.8598
    assert nab_score([150], windows, 50)["score"] == pytest.approx(50 * (1 + 0.8598), abs=0.01)
    # 10 rows behind: y = 10 / 99: 2 / (1 + e^(50/99)) - 1 = -0.2473
    assert nab_score([100, 209], windows, 50)["score"] == pytest.approx(100 - 50 * 0.11 * 0.2473, abs=0.01)
