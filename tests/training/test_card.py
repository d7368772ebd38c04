"""The card says what a figure is worth: beside its floors, beside the leaking split's, and with its uncertainty."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import yaml

from models.errors import ForewarnError
from tests.training.fleet import SMALL
from training import footprint
from training.card_parts import Metric, header, share
from training.dataset import Dataset
from training.metrics import rows_at
from training.prognosis.card import write_card
from training.prognosis.leak import _some, leaking_figures
from training.prognosis.pipeline import Trained


@pytest.fixture
def card(dataset: Dataset, trained: Trained) -> str:
    return write_card("m-1", "bearing", dataset, trained, simulated=False)


def test_the_header_is_yaml_that_a_model_hub_reads(card: str) -> None:
    _, text, _ = card.split("---\n", 2)
    read = yaml.safe_load(text)
    (index,) = read["model-index"]
    (result,) = index["results"]
    assert index["name"] == "m-1"
    assert result["task"] == {"type": "remaining-useful-life"}
    assert {m["type"] for m in result["metrics"]} == {"rul_mae_s", "rul_winkler_s", "rul_coverage"}
    assert all(isinstance(m["value"], float) for m in result["metrics"])


def test_another_kind_of_model_has_the_same_header_with_its_own_task(trained: Trained) -> None:
    text = header("a: b", trained, task="anomaly-detection", tags=("pump",), metrics=[Metric("f1", "F1: pooled", 0.84)])
    read = yaml.safe_load(text.strip("-\n"))
    assert read["tags"] == ["predictive-maintenance", "anomaly-detection", "pump"]
    assert read["model-index"][0]["name"] == "a: b"
    assert read["model-index"][0]["results"][0]["metrics"] == [{"type": "f1", "name": "F1: pooled", "value": 0.84}]


def test_the_leaking_splits_figure_stands_beside_the_honest_one(card: str, trained: Trained) -> None:
    e = trained.evaluation
    assert e["leaking_split"]["split"] == "window"
    assert e["leaking_split"]["rul_mae_s"] < e["rul_mae_s"]["ours"]
    cells = [e["rul_mae_s"][n] for n in ("ours", "constant", "k_x_age")] + [e["leaking_split"]["rul_mae_s"]]
    assert "| MAE of the median, s | " + " | ".join(f"{x:.0f}" for x in cells) + " |" in card


def test_the_leaking_split_learns_from_every_machine_but_not_from_the_cuts(dataset: Dataset) -> None:
    quick = msgspec.structs.replace(SMALL, steps=2)
    assert leaking_figures(dataset, quick, 3) == leaking_figures(dataset, quick, 3)
    life = dataset.lives[0]
    seen = _some(life, quick, np.random.default_rng(1))
    assert 0.6 * len(life.age_s) < len(seen.age_s) < 0.95 * len(life.age_s)
    assert not set(life.age_s[rows_at(life, quick.cuts)]) & set(seen.age_s)


def test_a_coverage_says_how_sure_it_is(card: str, trained: Trained) -> None:
    assert share(4, 4) == "4 of 4 (40% to 100%)"
    lines = trained.evaluation["by_machine"]
    whole = sum(x["covered"][0] == x["covered"][1] for x in lines)
    assert f"Machines with every cut inside: {share(whole, len(lines))}" in card
    assert all(share(*x["covered"]) in card for x in lines)


def test_every_answer_at_a_cut_is_in_the_card(card: str, trained: Trained) -> None:
    table = card.split("### What it said at the cuts")[1]
    answers = sum(len(item.truth) for item in trained.judged)
    assert table.count("| demo/M") == answers


def test_the_graph_is_measured_and_one_over_budget_is_refused(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = trained.evaluation["graph"]
    assert graph == footprint.size(trained.onnx)
    assert graph["bytes"] == len(trained.onnx)
    assert 1_000 < graph["parameters"] < footprint.MOST_PARAMETERS
    cost = footprint.measure(trained.onnx, len(trained.inputs))
    assert cost.milliseconds > 0.0
    for budget, said in (("MOST_PARAMETERS", "parameters"), ("MOST_BYTES", "bytes")):
        with monkeypatch.context() as smaller:
            smaller.setattr(footprint, budget, 10)
            with pytest.raises(ForewarnError, match=f"{said}, a device may be asked for"):
                footprint.size(trained.onnx)
    monkeypatch.setattr(footprint, "MOST_MILLISECONDS", 1e-9)
    with pytest.raises(ForewarnError, match="ms a window, a device may be asked for"):
        footprint.measure(trained.onnx, len(trained.inputs))


def test_a_graph_that_cannot_be_run_is_an_error_of_ours() -> None:
    with pytest.raises(ForewarnError, match="could not be measured"):
        footprint.measure(b"no graph", 3)


def test_a_card_without_a_gap_says_so(dataset: Dataset, trained: Trained) -> None:
    leak = {**trained.evaluation["leaking_split"], "rul_mae_s": 1e9}
    same = replace(trained, evaluation={**trained.evaluation, "leaking_split": leak})
    assert "an error no smaller" in write_card("m-1", "bearing", dataset, same, simulated=False)
