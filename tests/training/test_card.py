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
from training.lives import Life
from training.prognosis import leak
from training.prognosis.card import write_card
from training.prognosis.evaluate import degradation_error
from training.prognosis.fit import fit
from training.prognosis.folds import group_machines, lives_without, plan
from training.prognosis.leak import network_alone
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
    honest, leaking = e["network_alone_mse"], e["leaking_split"]["network_alone_mse"]
    assert max(leaking, honest["ours"]) < honest["constant"]
    cells = f"{honest['ours']:.4f} | {honest['constant']:.4f} | {leaking:.4f} |"
    assert f"| its network alone, without physics | {cells}" in card
    cells = [e["rul_mae_s"][n] for n in ("ours", "constant", "k_x_age")]
    assert "| MAE of the median, s | " + " | ".join(f"{x:.0f}" for x in cells) + " |\n" in card


def test_machines_that_each_go_their_own_way_are_known_by_a_leaking_split_alone(dataset: Dataset) -> None:
    random = np.random.default_rng(1)
    lives = []
    for life in dataset.lives:
        walk = random.standard_normal(life.condition.shape[1] - 1) * (life.share[:, None] - 0.5)
        noise = 0.1 * random.standard_normal(walk.shape)
        lives.append(replace(life, condition=np.hstack([walk + noise, life.condition[:, -1:]]).astype(np.float32)))
    strange = replace(dataset, lives=tuple(lives))
    groups = group_machines(strange.machines, 8)
    weights = {left: fit(lives_without(strange, groups, left), SMALL, 3) for left in plan(groups) if len(left) == 1}
    found = network_alone(strange, groups, weights, SMALL, 3)
    assert found["leaking_split"]["network_alone_mse"] < 0.2 * found["network_alone_mse"]["ours"]


def test_the_leaking_split_learns_from_every_machine_but_not_from_the_windows_it_is_judged_on(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = msgspec.structs.replace(SMALL, steps=2)
    groups = group_machines(dataset.machines, 8)
    weights = dict.fromkeys(plan(groups), fit(dataset.lives, quick, 3))
    assert network_alone(dataset, groups, weights, quick, 3) == network_alone(dataset, groups, weights, quick, 3)
    learned: list[Life] = []
    judged: list[Life] = []
    monkeypatch.setattr(leak, "fit", lambda lives, *rest: learned.extend(lives) or fit(lives, *rest))
    monkeypatch.setattr(
        leak, "degradation_error", lambda life, said: judged.append(life) or degradation_error(life, said)
    )
    network_alone(dataset, groups, weights, quick, 3)
    for life, seen, unseen in zip(dataset.lives, learned, judged[len(dataset.lives) :], strict=True):
        assert 0.6 * len(life.age_s) < len(seen.age_s) < 0.95 * len(life.age_s)
        assert sorted([*seen.age_s, *unseen.age_s]) == sorted(life.age_s)


def test_a_coverage_says_how_sure_it_is(card: str, trained: Trained) -> None:
    assert share(4, 4) == "4 of 4 (40% to 100%)"
    lines = trained.evaluation["by_machine"]
    whole = sum(x["covered"][0] == x["covered"][1] for x in lines)
    assert f"Machines with every cut inside: {share(whole, len(lines))}" in card
    assert all(share(*x["covered"]) in card for x in lines)


def test_an_interval_score_says_how_sure_it_is(dataset: Dataset, card: str, trained: Trained) -> None:
    assert "of the median machine: " in card
    assert "(4 machines are too few for bounds)" in card
    lines = trained.evaluation["by_machine"]
    many = [{**lines[0], "machine": f"m{i}", "winkler_s": {"ours": 100.0 * i, "k_x_age": 1000.0}} for i in range(1, 7)]
    text = write_card(
        "m", "b", dataset, replace(trained, evaluation=trained.evaluation | {"by_machine": many}), simulated=False
    )
    assert "of the median machine: 0.35 (95 %: 0.10 to 0.60)" in text


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
