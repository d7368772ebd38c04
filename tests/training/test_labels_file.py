from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.catalogue import maintenance
from cloud.catalogue.access import reading, writing
from cloud.wiring import Cloud, open_cloud
from forewarn.commands.label import label
from forewarn.labels import read_labels
from models.errors import WrongUse
from tests.training.test_bundle import known_machines

SITES = {"M1": {"demo"}, "M2": {"demo", "other"}}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud that knows M1."""
    opened = open_cloud(tmp_path / "data")
    known_machines(opened, "bearing", ["M1"])
    yield opened
    opened.close()


def parse(tmp_path: Path, text: str) -> list[maintenance.MaintenanceRow | WrongUse]:
    file = tmp_path / "labels.csv"
    file.write_text(text)
    return list(read_labels(file, SITES))


def run(cloud: Cloud, *arguments: str) -> Result:
    return CliRunner().invoke(label, [*arguments, "--data", str(cloud.data)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("time", "time_ns"),
    [
        ("1700000000123456789", 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20.123456+00:00", 1_700_000_000_123_456_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-15 00:13:20+02:00", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000_000_000),
    ],
)
def test_times_are_iso_8601_or_nanoseconds(tmp_path: Path, time: str, time_ns: int) -> None:
    (row,) = parse(tmp_path, f"machine,time,event\nM1,{time},failed\n")
    assert isinstance(row, maintenance.MaintenanceRow)
    assert row.time_ns == time_ns


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("M1,yesterday,failed,,", "neither ISO 8601 nor ns"),
        ("M1,99999999999999999999,failed,,", "too large"),
        ("M1,2023-11-14,exploded,,", "must be one of failed, replaced, repaired, inspected_good"),
        (",2023-11-14,failed,,", "the machine is empty"),
        ("M9,2023-11-14,failed,,", "'M9' has ever connected"),
        ("M2,2023-11-14,failed,,", "several sites"),
        ("M1,2023-11-14,failed,moon,", "'M1' is known at the site 'moon'"),
        ("M1,2023-11-14,failed,," + "x" * 65, "more than 64"),
        ("M1", "the event is ''"),
    ],
)
def test_a_wrong_line_is_said_with_its_number_and_the_others_count(tmp_path: Path, line: str, why: str) -> None:
    good = "M1,2023-11-14T00:00:00Z,failed,demo,bearing"
    wrong, row = parse(tmp_path, f"machine,time,event,site,part\n{line}\n{good}\n")
    assert isinstance(wrong, WrongUse)
    assert why in wrong.what
    assert wrong.where.endswith("labels.csv:2")
    assert isinstance(row, maintenance.MaintenanceRow)
    assert row.part == "bearing"


def test_a_file_without_the_columns_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="columns time, event are missing"):
        parse(tmp_path, "machine,when\nM1,2023\n")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(b"machine,time,event\n\xff\xfe\n")
    with pytest.raises(WrongUse, match="cannot be read"):
        list(read_labels(file, SITES))


def test_importing_twice_adds_once_and_wrong_lines_end_in_exit_code_two(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("machine,time,event\nM1,2023-11-14T00:00:00Z,failed\nM1,soon,failed\n")
    first = run(cloud, "import", str(file))
    assert first.exit_code == 2
    assert "1 labels added, 0 known already, 1 wrong" in first.output
    assert "labels.csv:3" in first.output
    file.write_text("machine,time,event\nM1,2023-11-14T00:00:00Z,failed\nM1,2023-11-15T00:00:00Z,replaced\n")
    second = run(cloud, "import", str(file), "--json")
    assert second.exit_code == 0
    assert json.loads(second.stdout) == {"added": 1, "known": 1, "wrong": []}
    with reading(cloud.engine) as c:
        assert [row.event for row in maintenance.history(c, cloud.enterprise)] == ["failed", "replaced"]
    assert "demo/M1" in run(cloud, "list").output


def test_the_history_of_another_company_is_not_ours(cloud: Cloud) -> None:
    row = maintenance.MaintenanceRow(site="demo", machine="M1", time_ns=1, event="failed")
    with writing(cloud.engine) as c:
        maintenance.add(c, "others", [row])
    with reading(cloud.engine) as c:
        assert maintenance.history(c, cloud.enterprise) == []
