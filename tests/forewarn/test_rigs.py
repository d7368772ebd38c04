"""Bearing rigs from end to end: tiny folders in the rigs' own formats, made by the simulator."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cloud.registry.admission import refusals
from edge.features.envelope_diagnosis import SLIP
from edge.inference import LoadedBundle
from edge.sensors.replay import find_recordings
from forewarn.cli import root
from forewarn.evaluation import cwru
from forewarn.evaluation.overlap import shared
from forewarn.evaluation.rig_score import figures, verdict
from forewarn.evaluation.rig_speed import WINDOWS as WINDOWS_HEARD
from forewarn.evaluation.rig_speed import with_speed
from forewarn.evaluation.rig_truth import bearing, truths
from forewarn.evaluation.rigs import all_of, bundle_of, labelled, lines
from models.errors import WrongUse
from models.networks.faults import FAULTS
from tests.forewarn.rig import BEARING, FAULT, RATE_HZ, RPM, SCALE, rig, sound
from training.faults.fit import FaultConfig, answer, fit

TRAIN = [f"{fault}_{size}_0" for fault in FAULT for size in ("007", "021")]
TEST = [f"{fault}_014_0" for fault in FAULT]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    base = tmp_path_factory.mktemp("rigs")
    rig(base / "train", TRAIN)
    rig(base / "test", TEST)
    return base


@pytest.fixture(scope="module")
def bundle(folder) -> LoadedBundle:
    config = FaultConfig(steps=60, timings=(0.5,))
    examples = labelled(folder / "train", config, seed=1, say=lambda _: None)
    return LoadedBundle.read(bundle_of(examples, config, seed=1))


@pytest.fixture(scope="module")
def said(folder, bundle) -> list[dict]:
    return [line for found in find_recordings([folder / "test"]) for line in lines(found, bundle)]


def test_the_registry_would_sign_it(bundle):
    assert list(refusals(bundle.manifest)) == []


def test_unseen_bearings_are_told_and_the_healthy_one_is_never_accused(said):
    last = {line["record"]: line["fault"] for line in said}
    assert {last["IR_014_0__DE"], last["OR@6_014_0__DE"]} == {"inner", "outer"}
    assert last["IR_014_0__DE"] == "inner"
    assert {line["fault"] for line in said if line["record"] == "normal_014_0__DE"} <= {"normal", "abstain"}
    assert [line["window"] for line in said if line["record"] == "B_014_0__DE"] == [1, 2, 3]
    assert all(sum(line["scores"].values()) == pytest.approx(1.0, abs=1e-5) for line in said)


@pytest.mark.parametrize("kept", [1, 2])
def test_a_record_that_is_cut_short_gives_the_same_lines_up_to_the_cut(folder, bundle, said, tmp_path, kept):
    table = pq.read_table(folder / "test" / "rig.parquet")
    cut = [c[: kept * 8192] for c in table["counts"].to_pylist()]
    (tmp_path / "cut").mkdir()
    pq.write_table(
        table.set_column(1, table.schema.field("counts"), pa.array(cut, pa.list_(pa.int32()))),
        tmp_path / "cut" / "rig.parquet",
    )
    (tmp_path / "cut" / "meta.json").write_bytes((folder / "test" / "meta.json").read_bytes())
    short = [line for found in find_recordings([tmp_path / "cut"]) for line in lines(found, bundle)]
    assert short == [line for line in said if line["window"] <= kept]


def single(path: Path, samples: int, **columns: object) -> None:
    """A folder as HIT-SM's and MFPT's: one record a row, cut after so many samples."""
    counts = np.round(sound("outer_race", 5, 4) / SCALE).astype(np.int64)[:samples]
    path.mkdir()
    row = {"file": "day 1/x.mat", "fs_hz": int(RATE_HZ), "pow10": 4, "counts": counts.tolist(), **columns}
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), path / "rig.parquet")
    (path / "meta.json").write_text(json.dumps({"bearing": BEARING}))


@pytest.mark.parametrize(
    "columns",
    [{"rpm": RPM}, {"shaft_hz": 25.0, "bpfo_hz": 89.6, "bpfi_hz": 135.4}, {"rpm": None}],
    ids=["hit_sm", "mfpt", "no speed"],
)
def test_a_record_that_is_cut_at_random_gives_the_same_lines_for_each_whole_window(bundle, tmp_path, columns):
    """Also where its speed is sought in the first windows."""
    cut = int(np.random.default_rng().integers(8192, 4 * 8192))
    single(tmp_path / "whole", 4 * 8192, **columns)
    single(tmp_path / "cut", cut, **columns)
    heard = [find_recordings([tmp_path / n])[0] for n in ("whole", "cut")]
    whole, short = (list(all_of(r, bundle, [1750.0, 1850.0], lambda _: None)) for r in heard)
    assert {line["record"] for line in whole} == {"day 1/x.mat"}
    full = cut // 8192
    assert short[:full] == whole[:full], cut
    assert len(short) == full + (cut % 8192 > 4096)


def test_evaluate_and_score_from_the_command_line_and_a_bad_record_stops_no_other(folder, tmp_path):
    rig(tmp_path / "train", [f"{fault}_{size}_0" for fault in ("IR", "OR@6") for size in ("007",)], windows=2)
    rig(tmp_path / "unlabelled", ["IR_014_0", "OR@6_014_0"], labels=False, windows=2)
    meta = json.loads((tmp_path / "unlabelled" / "meta.json").read_text())
    meta["records"]["x0"]["rpm"] = None
    (tmp_path / "unlabelled" / "meta.json").write_text(json.dumps(meta))
    pq.write_table(pa.table({"key": [1]}), tmp_path / "unlabelled" / "broken.parquet")
    out = tmp_path / "out.jsonl"
    args = ["evaluate", "cwru", "--train", str(tmp_path / "train"), "--test", str(tmp_path / "unlabelled")]
    run = CliRunner().invoke(root, [*args, "--out", str(out)])
    assert run.exit_code == 0, run.output
    assert "broken.parquet" in run.output
    assert "x0: no speed, and none can be found" in run.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(line["record"], line["window"]) for line in found} == {(f"x{i}__DE", w) for i in (0, 1) for w in (1, 2)}
    assert {line["fault"] for line in found if line["record"] == "x0__DE"} == {"abstain"}
    assert found[-1]["fault"] == "outer"
    assert "learns from" not in run.output
    assert run.output.splitlines()[-1] == "in all: 4 lines"
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(WrongUse, match="no record's fault is told"):
        cwru.score(tmp_path / "unlabelled", out)


def test_recordings_that_a_model_learns_from_and_is_judged_on_are_named(tmp_path):
    rig(tmp_path / "train", ["IR_007_0"], windows=1)
    rig(tmp_path / "test", ["IR_014_0"], windows=1)
    assert shared(tmp_path / "train", tmp_path / "test") == []
    shutil.copy(tmp_path / "train" / "rig.parquet", tmp_path / "test" / "again.parquet")
    assert shared(tmp_path / "train", tmp_path / "test") == ["again.parquet"]


def test_a_speed_that_is_not_told_is_found_in_the_first_windows_among_those_of_the_training(tmp_path, bundle):
    rig(tmp_path / "five", ["OR@6_014_0"], windows=5)
    (found,) = find_recordings([tmp_path / "five"])
    unknown = replace(found, machine=replace(found.machine, speed_rpm=None))
    told = with_speed(unknown, [1750.0, 1850.0])
    assert told.machine.speed_rpm == pytest.approx(RPM, rel=SLIP)
    said = [line["fault"] for line in lines(told, bundle, silent=WINDOWS_HEARD - 1)]
    assert said == ["abstain"] * 3 + ["outer"] * 2
    assert with_speed(unknown, []) is None
    assert with_speed(unknown, [600.0, RPM]) is None, "one part's line would be another's"
    few = replace(unknown, read=lambda: islice(found.read(), 3))
    assert with_speed(few, [RPM]) is None


def test_a_score_counts_what_is_missing_as_missed_and_stands_beside_its_floors(folder, said, tmp_path):
    file = tmp_path / "said.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in said if "IR" not in line["record"]))
    result = cwru.score(folder / "test", file)
    assert result["records"] == len(TEST)
    assert result["not_in_the_file"] == ["IR_014_0__DE"]
    assert result["by_record"]["IR_014_0__DE"] == {"fault": "inner", "said": "abstain"}
    assert result["floors"]["always_outer"]["macro_f1"] == pytest.approx(2 / 5 / 4, abs=1e-4)
    assert result["floors"]["largest_line"]["healthy_accused"] == 1, "it always answers"
    assert len(cwru.describe(result)) == 5


def test_a_verdict_is_what_most_windows_say_and_silence_is_a_miss():
    assert verdict(["abstain", "abstain", "abstain", "ball", "inner", "inner"]) == "inner"
    assert verdict(["abstain", "abstain", "inner"], abstentions_vote=True) == "abstain"
    assert verdict(["abstain"]) == verdict([]) == "abstain"
    truth = {"a": "inner", "b": "inner", "c": "outer", "d": "normal"}
    found = figures(truth, {"a": "inner", "b": "abstain", "c": "inner", "d": "outer"})
    assert found["macro_f1"] == pytest.approx(0.5 / 3, abs=1e-4)
    assert (found["right"], found["wrong"], found["abstained"], found["healthy_accused"]) == (1, 1, 1, 1)


def test_a_line_that_says_something_else_is_refused(folder, tmp_path):
    file = tmp_path / "said.jsonl"
    file.write_text('{"record": "a", "window": 1, "fault": "cage"}\n')
    with pytest.raises(WrongUse, match="'cage'"):
        cwru.score(folder / "test", file)


def test_labels_come_from_columns_from_meta_json_or_from_names(tmp_path):
    names = ["a/IR2_1200.mat", "a/Normal_600.mat", "b/InnerRaceFault_vload_1.mat", "b/baseline_1.mat", "x/what.mat"]
    faults = ["OR", None, None, None, None]
    pq.write_table(pa.table({"file": names, "fault": faults}), tmp_path / "t.parquet")
    told = ["outer_race", "normal", "inner_race", "normal"]
    assert truths(tmp_path) == dict(zip(names, told, strict=False))
    assert [bearing(n) for n in (*names[:3], "OR@12_021_3__DE")] == [
        "IR2",
        "Normal",
        "InnerRaceFault_vload",
        "OR@12_021",
    ]


def test_a_rig_without_a_healthy_record_is_learned_from_too(tmp_path):
    (tmp_path / "rig").mkdir()
    rows = [
        {"file": f"t/{name}_{k}.mat", "fault": name, "shaft_hz": RPM / 60, "fs_hz": 12_000, "pow10": 4}
        | {"bpfo_hz": 3.5848 * RPM / 60, "bpfi_hz": 5.4152 * RPM / 60}
        | {"counts": np.round(sound(fault, 7 * k + len(name), 2) * 1e4).astype(np.int64).tolist()}
        for name, fault in (("InnerRace", "inner_race"), ("OuterRace", "outer_race"))
        for k in (1, 2)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rig" / "mfpt.parquet")
    examples = labelled(tmp_path / "rig", FaultConfig(), seed=1, say=lambda _: None)
    network = fit(examples, FaultConfig(steps=60), 1)
    measured = [e for e in examples if e.timing == 1.0]
    assert {e.bearing for e in measured} == {"InnerRace", "OuterRace"}
    assert [FAULTS[int(answer(network, e.condition)[-1].argmax())] for e in measured] == [e.fault for e in measured]
