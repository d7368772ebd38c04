"""Models of slow channels from a real lake: what nobody marked, what the crews found, and a fleet that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cloud.alerts.types import Change, Outcome
from cloud.catalogue import maintenance
from cloud.catalogue.access import writing
from cloud.catalogue.maintenance import MaintenanceRow
from edge.updater.examine import examine
from forewarn.commands.backtest import backtest
from forewarn.commands.train import KINDS as OFFERED
from forewarn.commands.train import train
from forewarn.commands.whatif import whatif
from forewarn.findings import read_labels
from forewarn.training.kinds import KINDS
from forewarn.training.source import read_source
from models.departures import LEVEL, DeparturesConfig
from models.errors import ConfigurationError, DataInsufficient, WrongUse
from tests.cloud.web.seeding import SAID, SITE, Fleet
from training.anomaly.config import AnomalyConfig
from training.anomaly.runs import runs_of

NOW = 1_800_000_000_000_000_000
EVERY_S, WINDOWS, FAULTY = 60.0, 700, 40
PUMPS = ("P-1", "P-2", "P-3", "P-4")
HOUR_NS = 3_600_000_000_000


def ran(command: object, data: Path, *arguments: object) -> Result:
    return CliRunner().invoke(command, ["--data", str(data), *map(str, arguments)], catch_exceptions=False)  # type: ignore[arg-type]


def wandering(seed: int, rows: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(rows)
    for i in range(1, rows):
        x[i] = 0.9 * x[i - 1] + 0.44 * x[i]
    return x.astype(np.float32)


@pytest.fixture(scope="module")
def pumps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Four pumps of two slow channels; the last one's flow breaks down for 40 minutes, and the crew confirmed it."""
    fleet = Fleet(tmp_path_factory.mktemp("pumps") / "data", now_ns=NOW)
    for seed, name in enumerate(PUMPS):
        fleet.add_machine(name)
        flow, warm = wandering(seed, WINDOWS), 40.0 + wandering(seed + 10, WINDOWS)
        flow[-FAULTY:] += 12.0 * (name == PUMPS[-1])
        for channel, values in (("flow", flow), ("temperature", warm)):
            fleet.add_rows("scalars", name, channel, {LEVEL: values}, every_s=EVERY_S)
    raised = replace(SAID, key="1", machine=PUMPS[-1], event_time_ns=NOW - round(FAULTY * EVERY_S * 1e9))
    for sequence, said in enumerate([raised, replace(raised, change=Change.RETURNED, event_time_ns=NOW)], 100):
        number = fleet.cloud.alerts.take(SITE, "edge-P-4", 1, sequence, said)
    fleet.cloud.alerts.resolve(number, "Ann", Outcome.CONFIRMED)
    yield fleet
    fleet.cloud.close()


def test_the_command_offers_the_kinds_that_there_are() -> None:
    assert tuple(KINDS) == OFFERED


def test_machines_that_never_failed_get_a_model_that_finds_what_the_crew_confirmed(
    pumps: Fleet, tmp_path: Path
) -> None:
    out, report = tmp_path / "m.fwb", tmp_path / "m.json"
    said = ran(train, pumps.cloud.data, "--kind", "anomaly", "--out", out, "--json", report, "--publish")
    assert said.exit_code == 0, said.output
    assert "1 of 1 marked faults pass it" in said.output
    assert "marked faults found: 1; start alone 1" in said.output
    bundle, _, difference = examine(out.read_bytes(), "bearing")
    assert difference < 1e-5
    assert bundle.manifest.outputs == ("degradation",)
    assert json.loads(report.read_text())["machines"] == [f"{SITE}/{name}" for name in PUMPS]

    told = json.loads(ran(backtest, pumps.cloud.data, "--bundle", out, "--json").stdout)
    assert told == json.loads(ran(backtest, pumps.cloud.data, "--bundle", bundle.manifest.name, "--json").stdout)
    alarms = {life["machine"]: life for life in told["lives"] if life["watcher"] == "with the model"}
    assert told["watchers"]["with the model"]["judged_by_model"] == len(PUMPS) * (WINDOWS - 400)
    heard = alarms[f"{SITE}/P-4"]
    at = [*heard["false_alarms_at_hours"], *heard["undecided_at_hours"]]
    begun = (WINDOWS - FAULTY) * EVERY_S / 3600.0
    assert any(begun <= hour <= begun + 0.5 for hour in at)


def test_the_same_lake_gives_the_same_bytes(pumps: Fleet, tmp_path: Path) -> None:
    made = []
    for name in ("one.fwb", "other.fwb"):
        assert ran(train, pumps.cloud.data, "--kind", "anomaly", "--out", tmp_path / name).exit_code == 0
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_only_what_the_crew_confirmed_is_a_fault_and_only_usable_windows_teach(pumps: Fleet) -> None:
    source = read_source(pumps.cloud, "")
    config = AnomalyConfig(view=DeparturesConfig(channels=("flow",)))
    runs, left_out = runs_of(source.rows("scalars", (LEVEL,)), source.labels, config)
    assert not left_out
    assert [run.machine for run in runs] == [f"{SITE}/{name}" for name in PUMPS]
    assert [run.faulty is None for run in runs] == [True, True, True, False]
    assert {tuple(at) for run in runs for _, at in run.windows} == {("flow",)}
    faulty = runs[-1].faulty
    assert faulty is not None
    assert np.flatnonzero(faulty).tolist() == list(range(WINDOWS - FAULTY - 1, WINDOWS))
    assert (runs[-1].healthy == ~faulty).all()


def test_the_hours_before_a_failure_are_a_fault_and_a_repair_begins_another_life(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "data", now_ns=NOW)
    fleet.add_machine("P-9")
    fleet.add_rows("scalars", "P-9", "flow", {LEVEL: wandering(1, WINDOWS)}, every_s=EVERY_S)
    repaired, failed = NOW - 10 * HOUR_NS, NOW
    with writing(fleet.cloud.engine) as c:
        events = [(repaired, "repaired"), (failed, "failed")]
        rows = [MaintenanceRow(site=SITE, machine="P-9", time_ns=t, event=e) for t, e in events]
        maintenance.add(c, fleet.cloud.enterprise, rows)
    source = read_source(fleet.cloud, "")
    config = AnomalyConfig(view=DeparturesConfig(channels=("flow",)), fault_hours=2.0)
    ((run,), left_out) = runs_of(source.rows("scalars", (LEVEL,)), read_labels(fleet.cloud), config)
    fleet.cloud.close()
    assert left_out == (f"{SITE}/P-9: 1 shorter lives: each machine counts once",)
    assert len(run.windows) == 600
    assert run.faulty is not None
    assert run.faulty.sum() == 120


def test_what_cannot_be_learned_is_said_with_what_to_do(pumps: Fleet, tmp_path: Path) -> None:
    with pytest.raises(DataInsufficient, match="the lake holds no rms@1") as vibration:
        ran(train, pumps.cloud.data, "--ray", "off")
    assert "vibration" in str(vibration.value)
    with pytest.raises(DataInsufficient, match="0 machines have failed"):
        ran(train, pumps.cloud.data, "--kind", "fleet")
    with pytest.raises(WrongUse, match="no picture of the kind anomaly"):
        ran(train, pumps.cloud.data, "--kind", "anomaly", "--plot", tmp_path / "p.png")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[view]\nstart_window = 3\n")
    with pytest.raises(ConfigurationError, match="start_window") as named:
        ran(train, pumps.cloud.data, "--kind", "anomaly", "--config", wrong)
    assert "training/anomaly/config.py" in str(named.value)


def test_channels_are_those_that_all_machines_have(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "data", now_ns=NOW)
    for name, channel in (("P-1", "flow"), ("P-2", "pressure")):
        fleet.add_machine(name)
        fleet.add_rows("scalars", name, channel, {LEVEL: wandering(1, 50)}, every_s=EVERY_S)
    with pytest.raises(DataInsufficient, match="P-1: flow; works-1/P-2: pressure"):
        ran(train, fleet.cloud.data, "--kind", "anomaly")
    fleet.cloud.close()


def test_a_fleet_of_many_failures_gets_remaining_life_from_its_slow_channels(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "data", now_ns=NOW)
    random = np.random.default_rng(3)
    for number in range(10):
        name, windows = f"T-{number}", int(random.integers(120, 200))
        share = np.arange(windows) / windows
        fleet.add_machine(name)
        for channel, step in (("gas", 3.0), ("speed", -2.0)):
            level = step * np.expm1(4.0 * share) / np.expm1(4.0) + 0.3 * random.standard_normal(windows)
            fleet.add_rows("scalars", name, channel, {LEVEL: level.astype(np.float32)}, every_s=3600.0)
        with writing(fleet.cloud.engine) as c:
            end = MaintenanceRow(site=SITE, machine=name, time_ns=NOW, event="failed")
            maintenance.add(c, fleet.cloud.enterprise, [end])
    settings, out, plot = tmp_path / "quick.toml", tmp_path / "m.fwb", tmp_path / "m.png"
    settings.write_text("steps = 60\nmade_up = 60\nmembers = 1\nfolds = 2\n")
    said = ran(train, fleet.cloud.data, "--kind", "fleet", "--config", settings, "--out", out, "--plot", plot)
    fleet.cloud.close()
    assert said.exit_code == 0, said.output
    assert "rul rmse s:" in said.output
    assert "no trend shows:" in said.output
    assert plot.read_bytes().startswith(b"\x89PNG")
    manifest = examine(out.read_bytes(), "bearing")[0].manifest
    assert manifest.outputs == ("degradation", "rul_s", "trend")
    assert manifest.lineage.configuration["view"]["channels"] == ["gas", "speed"]
    assert 0.6 * 120 * 3600 <= manifest.lineage.configuration["cap_s"] <= 0.6 * 200 * 3600


def test_a_recording_without_the_models_channels_is_told_so(pumps: Fleet, tmp_path: Path) -> None:
    out = tmp_path / "m.fwb"
    assert ran(train, pumps.cloud.data, "--kind", "anomaly", "--out", out).exit_code == 0
    (tmp_path / "other.csv").write_text("t,level\n" + "".join(f"{60 * i},{i % 7}\n" for i in range(30)))
    said = CliRunner().invoke(whatif, ["--bundle", str(out), str(tmp_path / "other.csv")], catch_exceptions=False)
    assert "the model reads channels that are not here" in said.output
