"""The simulated turbofans' benchmark on a fleet so small that it is trained in a second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge.inference import Answer, LoadedBundle
from forewarn.evaluation import cmapss
from forewarn.evaluation.cmapss_files import CYCLE_S, channels, recordings, subsets
from forewarn.evaluation.cmapss_score import describe, nasa, score
from forewarn.whatif import estimate, listen
from models.errors import DataInsufficient, RecordingRejected, WrongUse
from models.memory import MemoryConfig
from training.fleet.learn import FleetConfig
from training.fleet.made_up import remembered

CUTS = {1: 60, 2: 90, 3: 31, 4: 120}


def write(
    folder: Path, name: str, lengths: dict[int, int], ends: dict[int, int], *, drop: tuple[str, ...] = ()
) -> None:
    """Units of such lives, cut at `ends`: two sensors wear over the last 80 cycles, one stands still."""
    parts = []
    for unit, life in lengths.items():
        random = np.random.default_rng(unit)
        cycle = np.arange(1, life + 1)
        wear = np.clip(1.0 - (life - cycle) / 80.0, 0.0, 1.0) ** 2
        table = {
            "unit": np.full(life, unit),
            "cycle": cycle,
            "op1": random.normal(size=life),
            "s1": np.full(life, 518.67),
            "s2": 640.0 + 3.0 * wear + 0.3 * random.normal(size=life),
            "s3": 10.0 - 2.0 * wear + 0.2 * random.normal(size=life),
            "s4": random.normal(size=life),
        }
        parts.append(pa.table({k: v for k, v in table.items() if k not in drop}).slice(0, ends[unit]))
    pq.write_table(pa.concat_tables(parts), folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cmapss")
    lives = {u: 90 + 7 * (u * 7 % 11) for u in range(1, 25)}
    write(folder, "train_FD009_few.parquet", lives, lives)
    asked = {u: cut + left for (u, cut), left in zip(CUTS.items(), (20, 60, 110, 5), strict=True)}
    write(folder, "test_FD009.parquet", asked, CUTS, drop=("op1", "s4"))
    (folder / "RUL_FD009.txt").write_text("20\n60\n110\n5\n")
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path, _quick: None) -> LoadedBundle:
    taught, asked = subsets(folder, "train")["FD009"], subsets(folder, "test")["FD009"]
    return cmapss._trained(taught, channels(taught, asked), seed=1, say=lambda line: None)


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cmapss, "FleetConfig", quick)
        yield


def quick(**given: object) -> FleetConfig:
    """A training that takes a second."""
    return msgspec.structs.replace(FleetConfig(**given), steps=250, made_up=100, members=2, folds=3, batch=128)  # type: ignore[arg-type]


def test_only_shared_sensors_that_move_are_channels(bundle: LoadedBundle) -> None:
    assert bundle.manifest.view.channels == ("s2", "s3")  # type: ignore[union-attr]
    assert bundle.manifest.features == ("level@1",)


def test_what_wears_is_told_from_what_does_not_and_floors_are_beaten(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    lines = list(cmapss.evaluate(folder, folder, seed=1, say=lambda line: None))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [(line["set"], line["unit"]) for line in lines] == [("FD009", u) for u in CUTS]
    for line in lines:
        said = line["rul_cycles"]
        assert 0 <= said["p05"] <= said["p50"] <= said["p95"]
        assert said["p50"] <= cmapss.CAP_CYCLES
    result = score(folder, file)["FD009"]
    assert result["nulls"] == 0
    assert {line["unit"]: line.get("reason") for line in lines} == {1: None, 2: "no_trend", 3: "no_trend", 4: None}
    assert result["ours"]["rmse"] < 0.7 * result["constant"]["rmse"]
    assert any("RMSE" in line for line in describe({"FD009": result}))


def test_silence_is_scored_as_the_floors_answer_and_shown(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text("".join(json.dumps({"set": "FD009", "unit": u, "rul_cycles": None}) + "\n" for u in CUTS))
    result = score(folder, file)["FD009"]
    assert result["ours"] == result["constant"]
    assert result["nulls"] == 1


def test_a_unit_that_is_cut_at_random_gives_the_same_words_up_to_the_cut(folder: Path, bundle: LoadedBundle) -> None:
    subset, random = subsets(folder, "test")["FD009"], np.random.default_rng()
    names = list(bundle.manifest.view.channels)  # type: ignore[union-attr]
    unit = next(r for r in recordings(subset, names) if r.name == "4")
    whole = [(s.time_ns, estimate(s, bundle)) for s in listen(unit, bundle)]
    assert whole[0][1] == {"rul_s": None, "reason": "too_little_history"}
    assert whole[-1][0] - whole[-2][0] == CYCLE_S * 1e9
    cut = int(random.integers(2, CUTS[4]))
    shorter = folder.parent / f"cut{cut}"
    shorter.mkdir(exist_ok=True)
    table = pq.read_table(folder / "test_FD009.parquet")
    rows = (table["unit"].to_numpy() == 4) & (table["cycle"].to_numpy() <= cut)
    pq.write_table(table.filter(pa.array(rows)), shorter / "test_FD009.parquet")
    (again,) = recordings(subsets(shorter, "test")["FD009"], names)
    assert [(s.time_ns, estimate(s, bundle)) for s in listen(again, bundle)] == whole[:cut]


def test_the_same_seed_gives_the_same_bytes(folder: Path, bundle: LoadedBundle) -> None:
    taught, asked = subsets(folder, "train")["FD009"], subsets(folder, "test")["FD009"]
    again = cmapss._trained(taught, channels(taught, asked), seed=1, say=lambda line: None)
    assert again.name == bundle.name
    probe = np.random.default_rng(0).normal(300, 300, (20, len(bundle.manifest.inputs))).astype(np.float32)
    np.testing.assert_array_equal(again.infer(probe).rul_s, bundle.infer(probe).rul_s)
    assert bundle.manifest.parity_max_abs <= 1e-5


def test_figures_are_of_machines_left_out_and_have_floors(bundle: LoadedBundle) -> None:
    evaluation = bundle.manifest.evaluation
    assert evaluation["split"] == "machine"
    assert evaluation["machines"] == 24
    for measure in ("rul_rmse_s", "rul_winkler_s", "rul_coverage"):
        assert set(evaluation[measure]) == {"ours", "constant", "line_in_age"}
    assert evaluation["rul_rmse_s"]["ours"] < evaluation["rul_rmse_s"]["constant"]
    assert 0.85 <= evaluation["rul_coverage"]["ours"] <= 0.95
    assert evaluation["leaking_split"]["split"] == "window"
    assert evaluation["leaking_split"]["rul_rmse_s"] < evaluation["rul_rmse_s"]["constant"]
    inside, machines = evaluation["machines_covered"]
    assert 0 < inside <= machines == len(evaluation["by_machine"])


def test_quantiles_are_in_order_even_far_from_what_was_seen(bundle: LoadedBundle) -> None:
    wild = np.random.default_rng(0).normal(0, 1e4, (200, len(bundle.manifest.inputs))).astype(np.float32)
    rul_s, degradation = bundle.infer(wild).rul_s, bundle.infer(wild).degradation
    assert rul_s is not None
    assert np.isfinite(rul_s).all()
    assert (rul_s >= 0).all()
    assert (np.diff(rul_s, axis=1) >= 0).all()
    assert ((degradation >= 0) & (degradation <= 1)).all()


def test_white_noise_gets_no_date_however_old_it_is_and_wear_does(bundle: LoadedBundle) -> None:
    random, streams, windows = np.random.default_rng(3), 1_000, 150  # of 174 that the longest life has
    config = bundle.manifest.view
    assert isinstance(config, MemoryConfig)
    noise = random.normal([640.0, 10.0], [0.3, 0.2], (windows, streams, 2))
    wear = (np.arange(windows) / windows)[:, None, None] ** 4 * [3.0, -2.0]

    def asked(readings: np.ndarray) -> Answer:
        seen = remembered(readings, config, CYCLE_S)[config.start_windows - 1 :]
        return bundle.infer(seen.reshape(-1, seen.shape[-1]))

    still, worn = asked(noise), asked(noise[:, :50] + wear)
    assert still.trend is not None
    assert worn.trend is not None
    assert (still.trend.reshape(-1, streams) >= 1.0).any(axis=0).mean() <= 0.01
    assert (worn.trend.reshape(-1, 50)[-1] >= 1.0).all()
    assert (still.degradation <= still.trend + 1e-6).all()  # age alone is no wear


def test_a_late_prediction_costs_more_than_an_early_one() -> None:
    truth = np.array([50.0])
    assert nasa(truth, truth) == 0
    assert nasa(truth, truth + 10.0) == pytest.approx(np.e - 1.0)
    assert nasa(truth, truth - 13.0) == pytest.approx(np.e - 1.0)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingRejected, match="FDnnn"):
        subsets(tmp_path, "test")
    (tmp_path / "test_FD009.parquet").write_bytes((folder / "test_FD009.parquet").read_bytes())
    other = tmp_path / "other"
    other.mkdir()
    write(other, "train_FD001.parquet", {1: 50}, {1: 50})
    with pytest.raises(DataInsufficient, match="train_FD009"):
        next(cmapss.evaluate(other, tmp_path, seed=1, say=lambda line: None))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(WrongUse, match="FD009"):
        score(folder, empty)
