"""What the agent says about a recording uses nothing that comes later, and is scored by the recording's end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from edge.inference import LoadedBundle
from edge.sensors.replay import find_recordings
from forewarn.commands.whatif import whatif
from forewarn.evaluation.pronostia import lines_of
from forewarn.evaluation.pronostia_score import phm_2012, score
from models.errors import WrongUse
from tests.models.making import make_parts

BEARING = "Bearing3_1"
SNAPSHOTS = 515


@pytest.fixture
def folder(recordings: Path, tmp_path: Path) -> Path:
    source = recordings / "pronostia"
    for name in (f"{BEARING}_vib.parquet", f"{BEARING}_temp.parquet", "meta.json"):
        (tmp_path / name).symlink_to(source / name)
    return tmp_path


def _said(folder: Path) -> list[dict]:
    parts = make_parts()
    (recording,) = find_recordings([folder])
    return list(lines_of(recording, LoadedBundle(parts.manifest, parts.onnx)))


def test_a_recording_that_is_cut_at_random_gives_the_same_lines_up_to_the_cut(folder: Path) -> None:
    whole = _said(folder)
    assert len(whole) == SNAPSHOTS
    assert whole[-1]["alarm"]
    assert not whole[0]["alarm"]
    assert (whole[0]["rul_s"], whole[0]["reason"]) == (None, "too_little_history")
    assert whole[-1]["rul_s"]["p05"] > 0
    cut = int(np.random.default_rng().integers(2, SNAPSHOTS))
    file = folder / f"{BEARING}_vib.parquet"
    table = pq.read_table(file).slice(0, cut)
    file.unlink()
    pq.write_table(table, file)
    assert _said(folder) == whole[:cut]


def _lines(rul: object) -> str:
    lines = []
    for n in range(1, SNAPSHOTS + 1):
        left = (SNAPSHOTS - n) * 10.0
        estimate = {"p05": left, "p50": left, "p95": left} if rul == "exact" else rul
        lines.append({"bearing": BEARING, "snapshot": n, "alarm": n == 400, "degradation": 0.0, "rul_s": estimate})
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_an_exact_prediction_costs_nothing_and_an_alarm_at_78_percent_is_in_time(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "exact.jsonl"
    file.write_text(_lines("exact"))
    everything = score(folder, file)["all"]
    assert everything["ours"] == {"mae_s": 0, "winkler_s": 0, "coverage": 1, "phm_2012": 1}
    assert everything["alarms"] == {"in_time": 1, "early": 0, "late": 0, "missed": 0}


def test_silence_is_scored_as_the_floor_and_shown(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "silent.jsonl"
    file.write_text(_lines(None))
    everything = score(folder, file)["all"]
    assert everything["ours"] == everything["floor"]
    assert everything["floor"]["mae_s"] > 0
    assert everything["nulls"] == 1


def test_a_late_prediction_costs_more_than_an_early_one() -> None:
    exact, early, late = phm_2012(np.full(3, 100.0), np.array([100.0, 80.0, 120.0]))
    assert exact == 1
    assert early == pytest.approx(0.5)  # 20 % early halves it
    assert late == pytest.approx(0.5**4)  # 5 % late halves it
    assert phm_2012(np.zeros(2), np.array([0.0, 10.0])).tolist() == [1.0, 0.0], "the very end"


def test_a_line_of_something_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text(_lines("exact").splitlines()[0] + '\n{"file": "x"}\n')
    with pytest.raises(WrongUse, match=r"other\.jsonl:2"):
        score(tmp_path, file)


def test_bearings_that_nothing_is_said_about_are_named(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "none.jsonl"
    file.write_text("")
    with pytest.raises(WrongUse, match=BEARING):
        score(folder, file)


def test_whatif_ends_with_the_remaining_life_or_why_there_is_none(folder: Path, tmp_path: Path) -> None:
    parts = make_parts()
    bundle = tmp_path / "b.fwb"
    bundle.write_bytes(parts.pack())
    file = folder / f"{BEARING}_vib.parquet"
    table = pq.read_table(file)
    ends = []
    for snapshots in (29, 40):  # the healthy start takes 30
        file.unlink()
        pq.write_table(table.slice(0, snapshots), file)
        ran = CliRunner().invoke(whatif, [str(folder), "--bundle", str(bundle)], catch_exceptions=False)
        ends.append(ran.output.splitlines()[-1])
    assert ends[0] == f"{BEARING}: No estimate of the remaining life: there is too little history."
    assert re.fullmatch(BEARING + r": Remaining life .+ to .+ \(5 to 95 %\), middle .+\.", ends[1])
