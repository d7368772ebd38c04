"""The whole composition: catalogue and lake in, a bundle that a device accepts out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from cloud.catalogue import maintenance
from cloud.catalogue.access import writing
from cloud.catalogue.maintenance import MaintenanceRow
from cloud.catalogue.tables import machine
from cloud.wiring import Cloud, open_cloud
from edge.inference import LoadedBundle
from edge.updater.examine import examine, golden_features
from forewarn.commands.train import train as command
from forewarn.training.kinds import Wanted
from forewarn.training.make import make_bundle
from forewarn.training.pack import golden_waveforms
from models.bundle import unpack
from models.errors import DataInsufficient, WrongUse
from tests.training.fleet import LIVES, SMALL, fleet_labels, fleet_rows
from training.prognosis.pipeline import Runner, run_here

QUICK = "steps = 5\nrows_per_life = 80\n"  # settings


class FleetLake:
    """Stands for the lake: the small fleet, and a machine of another class."""

    def head(self) -> int:
        return 7

    def rows(self, kind: str, *, machines: set[str], columns: tuple[str, ...], as_of: int) -> pa.Table:
        assert (kind, as_of) == ("features", 7)
        table = fleet_rows()
        keep = [m in machines for m in table["machine"].to_pylist()]
        return table.filter(pa.array(keep)).select(["site", "machine", "channel", "event_time_ns", "quality", *columns])


def known_machines(cloud: Cloud, machine_class: str, names: list[str], *, simulated: bool = False) -> None:
    with writing(cloud.engine) as c:
        for name in names:
            values = {"site": "demo", "device": name, "machine_class": machine_class, "simulated": simulated}
            c.execute(insert(machine).values(enterprise=cloud.enterprise, machine=name, **values))


def fleet_cloud(data: Path) -> Cloud:
    """A cloud that knows the small fleet and how it failed; the same one where it was made before."""
    known = data.exists()
    opened = open_cloud(data)
    opened.__dict__["lake"] = FleetLake()
    if known:
        return opened
    known_machines(opened, "bearing", list(LIVES))
    rows = [
        MaintenanceRow(site=x.site, machine=x.machine, time_ns=x.time_ns, event=x.event) for x in fleet_labels().history
    ]
    with writing(opened.engine) as c:
        assert maintenance.add(c, opened.enterprise, rows) == 4
    return opened


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    opened = fleet_cloud(tmp_path / "data")
    yield opened
    opened.close()


def quick(cloud: Cloud) -> Path:
    """A file of settings with which training takes a moment."""
    file = cloud.data / "quick.toml"
    file.write_text(QUICK)
    return file


def made_of(cloud: Cloud, machine_class: str = "", *, seed: int = 3, run: Runner = run_here) -> bytes:
    """The bundle's bytes."""
    wanted = Wanted(settings=quick(cloud), seed=seed, run=run, say=lambda line: None)
    return make_bundle(cloud, machine_class, "prognosis", wanted).bundle


def run_command(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Result:
    monkeypatch.setattr("cloud.wiring.open_cloud", lambda data: cloud)
    given = ["--data", cloud.data, "--config", quick(cloud), "--ray", "off", "--seed", 3, *arguments]
    return CliRunner().invoke(command, list(map(str, given)), catch_exceptions=False)


def test_training_publishes_a_bundle_that_a_device_accepts_and_makes_the_same_one_again(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, report, plot = tmp_path / "m.fwb", tmp_path / "m.json", tmp_path / "m.png"
    ran = run_command(cloud, monkeypatch, "--out", out, "--json", report, "--plot", plot, "--publish")
    assert ran.exit_code == 0, ran.output
    said: dict[str, Any] = json.loads(report.read_text())

    bundle, feature_difference, output_difference = examine(out.read_bytes(), "bearing")
    assert feature_difference == 0.0
    assert output_difference < 1e-5
    assert bundle.manifest.coverage == "not guaranteed: 4 machines"
    assert bundle.manifest.lineage.machines == tuple(f"demo/{m}" for m in LIVES)
    assert said["bundle"] == bundle.manifest.name
    assert said["evaluation"] == json.loads(json.dumps(bundle.manifest.evaluation))
    assert cloud.registry.read(bundle.manifest.name) == out.read_bytes()
    assert cloud.registry.verify(out.read_bytes()) == "candidate"

    answer = LoadedBundle.open(out).infer(bundle.golden.condition)
    assert np.isfinite(answer.degradation).all()
    assert np.isfinite(answer.rul_s).all()
    assert plot.stat().st_size > 1000
    assert "k x age" in ran.output

    assert made_of(cloud, "bearing") == out.read_bytes()


def test_a_model_of_simulated_machines_says_so(cloud: Cloud) -> None:
    with writing(cloud.engine) as c:
        c.execute(machine.update().where(machine.c.machine == "M2").values(simulated=True))
    made = unpack(made_of(cloud, seed=4))
    assert made.manifest.simulated
    assert "**Simulated**" in made.card


def test_without_a_class_the_only_one_is_meant_and_several_are_a_question(cloud: Cloud) -> None:
    known_machines(cloud, "pump", ["P1"])
    with pytest.raises(WrongUse, match="several classes: bearing, pump"):
        made_of(cloud)
    with pytest.raises(DataInsufficient, match="no machine of the class fan"):
        made_of(cloud, "fan")


def test_a_lake_without_failures_is_refused_before_anything_is_trained(cloud: Cloud) -> None:
    with writing(cloud.engine) as c:
        c.execute(maintenance.maintenance.delete())
    with pytest.raises(DataInsufficient, match="0 machines have failed"):
        made_of(cloud, run=lambda job, say: pytest.fail("it trained"))


def test_the_golden_waveforms_show_every_feature_away_from_zero() -> None:
    waveforms = golden_waveforms()
    features = golden_features(waveforms, 25_600.0, SMALL.features)
    assert features.shape == (4, len(SMALL.features))
    assert (np.abs(features).max(axis=0) > 1e-3).all()
    kurtosis = features[:, SMALL.features.index("kurtosis@1")]
    assert kurtosis[3] > 5 > kurtosis[1]
