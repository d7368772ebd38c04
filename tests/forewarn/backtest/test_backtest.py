"""A backtest over a real lake says what the device said when the rows were made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cloud.catalogue import maintenance
from cloud.catalogue.access import writing
from cloud.catalogue.maintenance import MaintenanceRow
from edge.detection import Detector
from edge.features import Extractor
from edge.sensors.simulator import Simulator
from edge.types import FeatureRow, Kind
from forewarn.backtest.replay import Told, replay
from forewarn.backtest.span import read_span
from forewarn.commands.backtest import backtest as command
from models.errors import DataInsufficient, WrongUse
from tests.cloud.web.seeding import HOUR, SITE, Fleet
from training.labels import FAILED, Labels, Maintenance, Span

NAME, EVERY_S, WINDOWS = "P-1", 10.0, 320
NOW = 1_800_000_000_000_000_000
BEGIN = NOW - round((WINDOWS - 1) * EVERY_S * 1e9)
_KIND = {Kind.FEATURES: "features", Kind.SCALARS: "scalars"}


def _live(fleet: Fleet) -> list[Told]:
    """Let a device listen to a machine that fails, store the rows as a gateway would, and return what it said."""
    source = Simulator(
        NAME, seed=3, life_s=WINDOWS * EVERY_S, every_s=EVERY_S, speed=None, start_ns=BEGIN, samples=1024
    )
    extractor, detector, said = Extractor(source.machine), Detector(source.machine), []
    stored: dict[tuple[str, str], list[FeatureRow]] = {}
    for n, window in enumerate(source.windows()):
        if n == WINDOWS:
            break
        checked = detector.check(window)
        rows = extractor.extract(checked)
        said += [
            Told(a.time_ns, a.change.name == "RAISED", a.severity, a.source)
            for a in detector.update(checked, rows)[1]
            if a.part != "sensor" and a.change.name != "RETURNED_TO_NORMAL"
        ]
        for row in rows:
            stored.setdefault((_KIND[row.kind], row.channel), []).append(row)
    for (kind, channel), rows in stored.items():
        assert len(rows) == WINDOWS
        columns = {c: np.array([r.values[i] for r in rows]) for i, c in enumerate(rows[0].schema.columns)}
        fleet.add_rows(kind, NAME, channel, columns, every_s=EVERY_S)
    return said


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Path, list[Told]]]:
    data = tmp_path_factory.mktemp("backtest") / "data"
    fleet = Fleet(data, now_ns=NOW)
    fleet.add_machine(NAME)
    said = _live(fleet)
    with writing(fleet.cloud.engine) as c:
        failure = MaintenanceRow(site=SITE, machine=NAME, time_ns=NOW, event=FAILED)
        maintenance.add(c, fleet.cloud.enterprise, [failure])
    yield fleet, data, said
    fleet.cloud.close()


def test_the_rows_of_the_lake_raise_the_alarms_that_the_device_raised(lake) -> None:
    fleet, _, said = lake
    (seen,) = read_span(
        fleet.cloud, "bearing", Labels([Maintenance(NOW, NAME, FAILED, SITE)]), since_ns=None, until_ns=None
    )
    assert seen.key == f"{SITE}/{NAME}"
    assert seen.lives == [Span(BEGIN, NOW, failed=True)]
    heard = replay(seen.machine, seen.windows, seen.lives[0], None)
    assert (heard.windows, heard.judged) == (WINDOWS, 0)
    assert said
    assert list(heard.told) == said


def test_nothing_that_is_said_depends_on_what_comes_later(lake) -> None:
    fleet, _, said = lake
    cut = said[0].time_ns + 1
    (seen,) = read_span(fleet.cloud, "bearing", Labels(), since_ns=None, until_ns=cut)
    assert seen.lives == [Span(BEGIN, said[0].time_ns, failed=False)]
    assert list(replay(seen.machine, seen.windows, seen.lives[0], None).told) == said[:1]


def _run(data: Path, *arguments: object):
    return CliRunner().invoke(command, ["--data", str(data), *map(str, arguments)], catch_exceptions=False)


def test_the_command_gives_leads_rates_and_costs_for_people_and_for_machines(lake, tmp_path: Path) -> None:
    _, data, said = lake
    costs, plot = tmp_path / "costs.toml", tmp_path / "b.png"
    costs.write_text("planning_hours = 0.01\nhorizon_hours = 0.5\n")
    told = json.loads(_run(data, "--costs", costs, "--json", "--plot", plot).stdout)
    (life,) = told["lives"]
    assert life["lead_hours"] == pytest.approx((NOW - said[0].time_ns) / HOUR, abs=1e-3)
    group = told["watchers"]["day zero alone"]["all"]
    assert (group["failures"], group["warned_in_time"], group["false_alarms"]) == (1, 1, 0)
    assert group["cost_per_1000_hours"]["alarms"] < group["cost_per_1000_hours"]["run_to_failure"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    text = _run(data, "--costs", costs).stdout
    assert "failures warned of in time  1 of 1" in text
    assert "From stored rows, not from waveforms" in text


def test_a_span_without_rows_and_a_time_that_is_none_are_said(lake) -> None:
    _, data, _ = lake
    with pytest.raises(DataInsufficient, match="holds no rows of machines of the class bearing"):
        _run(data, "--to", "2020-01-01")
    with pytest.raises(WrongUse, match="--from: the time is 'soon'"):
        _run(data, "--from", "soon")
