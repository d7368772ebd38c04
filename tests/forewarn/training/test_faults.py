"""A model of faults from recordings that somebody has labelled, by the command."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.updater.examine import examine
from forewarn.commands.train import train
from models.errors import WrongUse
from models.networks.faults import FAULTS
from tests.cloud.web.seeding import Fleet
from tests.forewarn.rig import FAULT, rig

BEARINGS = ("007", "021")
RECORDINGS = {f"{fault}_{size}_0": (fault, size) for fault in FAULT for size in BEARINGS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rig(tmp_path_factory.mktemp("labelled") / "recordings", RECORDINGS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fleet = Fleet(tmp_path_factory.mktemp("cloud") / "data")
    fleet.add_machine("P-1")
    fleet.cloud.close()
    return fleet.cloud.data


def labels(file: Path, rows: dict[str, tuple[str, str]]) -> Path:
    with file.open("w") as out:
        writer = csv.writer(out)
        writer.writerow(["recording", "bearing", "fault", "who"])
        for name, (fault, size) in rows.items():
            found = "normal" if FAULT[fault] == "none" else FAULT[fault]
            writer.writerow([f"{name}__DE", f"{fault}-{size}", found, "Ann"])
    return file


def run(data: Path, *arguments: object) -> Result:
    given = ["--data", data, "--kind", "faults", *arguments]
    return CliRunner().invoke(train, list(map(str, given)), catch_exceptions=False)


def test_labelled_recordings_become_a_bundle_that_a_device_accepts(folder: Path, data: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "m.fwb", tmp_path / "quick.toml"
    settings.write_text("steps = 20\ntimings = [0.5]\n")
    file = labels(tmp_path / "labels.csv", RECORDINGS)
    said = run(data, "--recordings", folder, "--labels", file, "--config", settings, "--out", out, "--publish")
    assert said.exit_code == 0, said.output
    assert f"{len(RECORDINGS)} recordings, {len(RECORDINGS)} bearings" in said.output
    assert "largest line" in said.output
    bundle, features, outputs = examine(out.read_bytes(), "bearing")
    assert max(features, outputs) < 1e-5
    assert bundle.manifest.faults == FAULTS
    assert {m["fault"] for m in bundle.manifest.evaluation["by_machine"]} == set(FAULTS)


def test_labels_that_cannot_be_meant_are_refused_with_the_line(folder: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="labelled recordings"):
        run(data, "--recordings", folder)
    file = labels(tmp_path / "labels.csv", RECORDINGS)
    whole = file.read_text()
    for added, reason in (
        ("x,,ball", r"labels.csv:10: the recording or the bearing is empty"),
        ("x,b,worn", r"labels.csv:10: the fault is 'worn'.* inner_race"),
        ("IR_007_0__DE,b,ball", r"labels.csv:10: 'IR_007_0__DE' was found to be something else"),
        ("x,b,ball", "no usable recording is called x"),
    ):
        file.write_text(whole + added + "\n")
        with pytest.raises(WrongUse, match=reason):
            run(data, "--recordings", folder, "--labels", file)
    file.write_text("recording,fault\n")
    with pytest.raises(WrongUse, match="the columns bearing are missing"):
        run(data, "--recordings", folder, "--labels", file)
