from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx

from models.graph import check_graph
from models.manifest import output_shapes
from tests.training.fleet import SMALL
from training.dataset import Dataset
from training.export import PARITY, run_onnx
from training.plot import plot_rul
from training.prognosis.card import write_card
from training.prognosis.folds import group_machines, plan
from training.prognosis.pipeline import Job, Trained, run_here

# Trains and exports in a process of its own; the dataset comes from the small fleet of these tests.
_ELSEWHERE = """
import hashlib
from tests.training.fleet import SMALL, fleet_labels, fleet_rows
from training.dataset import build
from training.prognosis.pipeline import run_here, train
made = train(build(fleet_rows(), fleet_labels(), SMALL), SMALL, seed=3, run=run_here, say=lambda line: None)
print(hashlib.sha256(made.onnx).hexdigest())
"""


def test_the_model_beats_its_floors_where_wear_is_plain_to_see_and_is_silent_before(trained: Trained) -> None:
    for measure in ("rul_mae_s", "rul_winkler_s"):
        figures = trained.evaluation[measure]
        assert figures["ours"] < min(figures["constant"], figures["k_x_age"])
    told: dict[str, list[float]] = {}
    for item in trained.judged:
        assert item.nulls.tolist() == [True, True, False, False, False]  # wear begins at 55 % of a life
        for who, said in item.said.items():
            told.setdefault(who, []).append(float(np.abs(said[2:, 1] - item.truth[2:]).mean()))
    mae = {who: np.mean(errors) for who, errors in told.items()}
    assert mae["ours"] < 0.6 * min(mae["constant"], mae["k_x_age"])
    assert trained.evaluation["alarms_in_time"]["ours"] >= 3
    assert trained.evaluation["alarms_early"]["ours"] == 0


def test_wear_that_is_plain_to_see_is_said_and_a_healthy_start_is_not(dataset: Dataset, trained: Trained) -> None:
    for life in dataset.lives:
        said = run_onnx(trained.onnx, life.condition, trained.outputs)
        degradation, rul_s = said["degradation"], said["rul_s"]
        assert degradation[life.share < 0.4].max() < trained.thresholds.warn
        assert degradation[-1] > trained.thresholds.act
        assert rul_s[-1, 1] < 0.3 * rul_s[len(rul_s) // 2, 1]


def test_torch_and_onnx_agree_and_a_device_accepts_the_graph(dataset: Dataset, trained: Trained) -> None:
    assert trained.parity_max_abs <= PARITY
    check_graph(trained.onnx, inputs=len(dataset.inputs), outputs=output_shapes(trained.outputs))
    one, many = (run_onnx(trained.onnx, probe, trained.outputs) for probe in (trained.probe[:1], trained.probe))
    np.testing.assert_allclose(one["rul_s"], many["rul_s"][:1], rtol=1e-5)


def test_the_file_says_nothing_about_where_it_was_made(trained: Trained, repository: Path) -> None:
    for trace in (b"training/", b".py", b"torch", b"pkg.", str(repository).encode()):
        assert trace not in trained.onnx
    model = onnx.load_from_string(trained.onnx)
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string or node.name for node in model.graph.node)


def test_another_folder_and_process_give_the_same_bytes(trained: Trained, repository: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another folder"
    for package in ("models", "training", "tests/training"):
        shutil.copytree(repository / package, elsewhere / package, ignore=shutil.ignore_patterns("__pycache__"))
    ran = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE], cwd=elsewhere, capture_output=True, text=True, timeout=110, check=False
    )
    assert ran.stdout.strip() == hashlib.sha256(trained.onnx).hexdigest(), ran.stderr


def test_the_card_says_where_the_model_is_no_better_than_its_floor(dataset: Dataset, trained: Trained) -> None:
    card = write_card("m-1", "bearing", dataset, trained, simulated=True)
    assert card.startswith("---\n")
    assert "**Simulated**" in card
    assert "not guaranteed: 4 machines" in card
    assert "Read this first" not in card
    poor = trained.evaluation | {"rul_mae_s": {"ours": 900.0, "constant": 800.0, "k_x_age": 1000.0}}
    worse = replace(trained, evaluation=poor)
    text = write_card("m-1", "bearing", dataset, worse, simulated=False)
    assert "Read this first: the error of the median is no better than the best floor (800 s)" in text
    assert "**Simulated**" not in text


def test_the_picture_is_drawn_without_a_screen(trained: Trained, tmp_path: Path) -> None:
    plot_rul(trained.answers, tmp_path / "rul.png")
    assert (tmp_path / "rul.png").read_bytes().startswith(b"\x89PNG")


def test_progress_is_said_fit_by_fit(dataset: Dataset) -> None:
    lines: list[str] = []
    groups = group_machines(dataset.machines, 8)
    dict(run_here(Job(dataset, groups, plan(groups)[:3], msgspec.structs.replace(SMALL, steps=1), 1), lines.append))
    assert lines == [
        "fit 1 of 3: all machines",
        "fit 2 of 3: without demo/M1",
        "fit 3 of 3: without demo/M2",
    ]
