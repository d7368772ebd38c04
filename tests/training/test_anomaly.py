"""What alarms cost where there is nothing to find: white noise, and budgets on machines that set no limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from cloud.registry.admission import refusals
from models.departures import LEVEL, Departures, DeparturesConfig
from models.manifest import Lineage, Manifest, Thresholds
from models.networks.departure import LIMIT
from training.anomaly.card import write_anomaly_card
from training.anomaly.config import AnomalyConfig
from training.anomaly.seen import Run
from training.anomaly.train import train
from training.bounds import poisson_interval

START = 150
Array = NDArray[np.float64]


def conditions(noise: Array, start: int, fast: float) -> NDArray[np.float32]:
    """(n, m) of m machines with one channel -> (n - start, m, 2) of what the view sees of each of them."""
    names = tuple(str(i) for i in range(noise.shape[1]))
    view = Departures((LEVEL,), DeparturesConfig(channels=names, start_windows=start, fast_windows=fast))
    said = [view.update(10.0 * i, dict(zip(names, row[:, None], strict=True))) for i, row in enumerate(noise)]
    return np.stack([s.reshape(2, -1).T for s in said if s is not None])


def wandering(seed: int, rows: int, machines: int) -> Array:
    """Noise whose values hang together over some ten windows."""
    x = np.random.default_rng(seed).standard_normal((rows, machines))
    for i in range(1, rows):
        x[i] = 0.9 * x[i - 1] + 0.44 * x[i]
    return x


@pytest.mark.parametrize(("fast", "limit", "in_a_row", "start"), [(4.0, 5.0, 1, START), (8.0, 3.05, 8, 750)])
def test_white_noise_hardly_ever_raises_an_alarm(fast: float, limit: float, in_a_row: int, start: int) -> None:
    noise = np.random.default_rng(5).standard_normal((start + 1000, 1000))
    over = np.abs(conditions(noise, start, fast)[:, :, 1]) >= limit
    raised = np.lib.stride_tricks.sliding_window_view(over, in_a_row, axis=0).all(axis=-1).any(axis=0)
    assert raised.mean() <= 0.01


@pytest.mark.parametrize("budget", [1 / 50, 1 / 120, 1 / 300])
def test_a_budget_of_false_alarms_is_kept_on_other_machines(budget: float) -> None:
    rows, machines = START + 500, 12
    runs = [
        Run(str(m), [(10.0 * i, {"a": x[i : i + 1]}) for i in range(rows)], np.ones(rows, np.bool_))
        for m, x in enumerate(wandering(1, rows, machines).astype(np.float32).T)
    ]
    view = DeparturesConfig(channels=("a",), start_windows=START)
    model = train(runs, AnomalyConfig(view=view, false_alarms=budget, least_limit=1.0), seed=7, say=lambda _: None)
    session = onnxruntime.InferenceSession(model.onnx, providers=["CPUExecutionProvider"])
    others = conditions(wandering(2, rows, machines), START, view.fast_windows)
    flat = others.reshape(-1, 2)
    score = np.asarray(session.run(None, {session.get_inputs()[0].name: flat})[0]).reshape(others.shape[:2])
    raised = sum(alarms(machine, model.thresholds.deadband) for machine in score.T)
    low, _ = poisson_interval(raised)
    assert budget * score.size >= 20
    assert low <= budget * score.size
    assert raised > 0.2 * budget * score.size  # and it is made use of


def alarms(score: NDArray[np.float32], deadband: float) -> int:
    """How often an alarm begins: at the limit, until ten windows in a row were clearly below."""
    begun, clear = 0, 10
    for value in score.tolist():
        if value >= LIMIT and clear >= 10:
            begun, clear = begun + 1, 0
        elif clear < 10:
            clear = clear + 1 if value < LIMIT - deadband else 0
    return begun


def run(seed: int, *, rows: int = START + 300, step: float = 0.0, at: int = 200) -> Run:
    """A machine that wanders, and that departs for thirty windows; somebody has marked them."""
    x = wandering(seed, rows, 1)[:, 0].astype(np.float32)
    faulty = np.zeros(rows, np.bool_)
    faulty[START + at : START + at + 30] = step != 0.0
    x[faulty] += step
    windows = [(10.0 * i, {"a": x[i : i + 1]}) for i in range(rows)]
    return Run(str(seed), windows, ~faulty, faulty if step else None)


def trained(*runs: Run, **settings: float) -> dict[str, Any]:
    config = AnomalyConfig(view=DeparturesConfig(channels=("a",), start_windows=START), **settings)
    return train(runs, config, seed=7, say=lambda _: None).evaluation


def test_each_machine_is_judged_by_the_limit_of_the_others() -> None:
    """One machine is far more restless than the others: it alarms by their limit, and sets a high one for all."""
    calm = [run(seed) for seed in range(4)]
    restless = bumped(run(9), at=150, size=30.0)
    evaluation = trained(*calm, restless, false_alarms=0.0)
    assert evaluation["split"] == "machine"
    assert {m["machine"]: m["false_alarms"] for m in evaluation["by_machine"]}["9"] > 0
    assert evaluation["false_alarms"]["ours"] > evaluation["leaking_split"]["false_alarms"] == 0
    low, high = evaluation["false_alarms_interval"]
    assert low < evaluation["false_alarms"]["ours"] < high
    assert not list(refusals(manifest(evaluation, machines=5)))


def bumped(one: Run, *, at: int, size: float) -> Run:
    """The same machine with a bump that nobody has marked."""
    windows = [(t, {"a": v["a"] + size * (START + at <= i < START + at + 20)}) for i, (t, v) in enumerate(one.windows)]
    return Run(one.machine, windows, one.healthy, one.faulty)


def test_a_marked_fault_counts_as_found_only_by_a_limit_that_it_did_not_set() -> None:
    evaluation = trained(*(run(seed, step=12.0) for seed in range(3)))
    assert evaluation["marked_faults"] == 3
    assert evaluation["marked_faults_found"]["ours"] == 3
    assert set(evaluation["marked_faults_found"]) == {"ours", "start_alone"}


def test_one_machine_alone_proves_nothing_and_the_registry_says_so() -> None:
    evaluation = trained(run(1))
    assert evaluation["split"] == "none"
    assert "flatters" in evaluation["protocol"]
    reasons = " ".join(refusals(manifest(evaluation, machines=1)))
    assert "split by none" in reasons
    assert "1 machines were judged" in reasons


def manifest(evaluation: dict[str, Any], *, machines: int) -> Manifest:
    known = tuple(str(m) for m in range(machines))
    return Manifest(
        format=1,
        name="m",
        machine_class="pump",
        features=(LEVEL,),
        feature_hash="",
        view=DeparturesConfig(channels=("a",)),
        inputs=("a",),
        outputs=("degradation",),
        thresholds=Thresholds(warn=0.5, act=0.9),
        coverage="",
        lineage=Lineage(dataset="", machines=known, configuration={}, seed=7, versions={}),
        evaluation=evaluation,
        parity_max_abs=0.0,
    )


def test_marks_that_were_learned_from_are_judged_beside_floors_and_the_split_that_leaks() -> None:
    config = AnomalyConfig(view=DeparturesConfig(channels=("a",), start_windows=START), learn_marks=True)
    model = train([run(seed, step=4.0) for seed in range(5)], config, seed=7, say=lambda _: None)
    e = model.evaluation
    assert set(e["f1"]) == {"ours", "largest_departure", "all_anomalous"}
    assert e["f1"]["ours"] > e["f1"]["all_anomalous"]
    assert e["leaking_split"]["split"] == "window"
    assert len(e["by_machine"]) == 5
    card = write_anomaly_card("m", "pump", model)
    assert card.startswith("---\n")
    assert f"| f1 | {e['f1']['ours']:.4g} |" in card
    assert f"f1 {e['leaking_split']['f1']:.4g}" in card
