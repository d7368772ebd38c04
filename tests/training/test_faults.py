"""Training of a model of faults on made-up conditions."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import DataInsufficient
from models.networks.faults import FAULTS
from training.export import export
from training.faults.card import write_fault_card
from training.faults.faint import faint
from training.faults.fit import FEATURES, Example, FaultConfig, answer, fit
from training.faults.train import judge, train

CONFIG = FaultConfig(steps=120)
_LINE = {"outer_race": 0, "inner_race": 1}


def condition(fault: str, seed: int, *, far: float = 0.0) -> np.ndarray:
    """Ten windows; a race has its line, and what is struck another shape than what is healthy."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 0.1, (10, len(FEATURES)))
    x[:, 6:] += rng.normal(0.0, 0.3, len(FEATURES) - 6) + far
    if fault != "normal":
        x[:, 8] += 3.0
    if fault in _LINE:
        x[:, _LINE[fault]] += 1.0
    return x.astype(np.float32)


def examples(faults=FAULTS, each: int = 3) -> list[Example]:
    found = []
    for k, fault in enumerate(faults):
        for b in range(each):
            name = f"{fault}-{b}"
            for timing, kind in ((1.0, fault), (0.0, "none")):
                c = condition(kind if timing else "ball", 10 * k + b)
                found.append(Example(machine=name, bearing=name, fault=fault, timing=timing, condition=c))
    return found


def likeliest(network, fault: str, seed: int) -> str:
    return FAULTS[int(answer(network, condition(fault, seed))[-1].argmax())]


def test_bearings_that_took_no_part_are_told_apart():
    network = fit(examples(), CONFIG, 1)
    assert {f: likeliest(network, f, 99) for f in FAULTS} == {f: f for f in FAULTS}


def test_on_a_shape_far_from_all_that_was_learned_every_class_is_as_likely():
    network = fit(examples(), CONFIG, 1)
    assert answer(network, condition("ball", 99, far=30.0)) == pytest.approx(0.25, abs=1e-3)


def test_a_class_that_nobody_recorded_is_never_told():
    network = fit(examples(("normal", "outer_race", "inner_race")), CONFIG, 1)
    assert answer(network, condition("ball", 99)).max() < 0.5
    assert likeliest(network, "inner_race", 99) == "inner_race"


def test_without_a_healthy_recording_the_one_without_timing_stands_for_it():
    network = fit(examples(("outer_race", "inner_race")), CONFIG, 1)
    assert likeliest(network, "outer_race", 99) == "outer_race"


def test_the_same_seed_gives_the_same_graph_and_the_card_says_what_was_measured():
    one = train(examples(), CONFIG, seed=3)
    again, _ = export(fit(examples(), CONFIG, 3), one.probe, {"degradation": (), "fault": (4,)})
    assert one.onnx == again
    assert one.parity_max_abs <= 1e-5
    right, accused = one.evaluation["right"], one.evaluation["healthy_accused"]
    assert right["ours"] >= 0.75 > right["largest_line"]
    assert (accused["ours"], accused["largest_line"]) == (0, 3)
    assert one.evaluation["classes"] == dict.fromkeys(sorted(FAULTS), 30)
    card = write_fault_card("x", "bearing", one)
    assert "| ball-0 | ball | ball |" in card
    assert f"| right | {right['ours']:.4g} | {right['largest_line']:.4g} |" in card
    assert f"it would be: right {one.evaluation['leaking_split']['right']:.4g}." in card


def test_each_bearing_is_judged_by_a_network_that_never_saw_it():
    few = [e for e in examples(each=2) if not (e.fault == "inner_race" and e.machine.endswith("1"))]
    judged = {j.machine for j in judge(few, CONFIG, 1)}
    assert "inner_race-0" not in judged, "without it nobody would know an inner race"
    assert "ball-0" in judged


@pytest.mark.parametrize("faults", [("normal", "outer_race"), ("inner_race",), ()])
def test_a_race_that_nobody_recorded_is_refused(faults):
    with pytest.raises(DataInsufficient, match="race"):
        train(examples(faults), CONFIG, seed=1)


def test_faint_damage_keeps_its_spectrum_and_loses_its_timing():
    x = np.zeros(8192, np.float32)
    x[::128] = 1.0
    rng = np.random.default_rng(1)
    kurtosis = {}
    for timing in (1.0, 0.5, 0.0):
        y = faint(x, timing, rng).astype(np.float64)
        kurtosis[timing] = float((y**4).mean() / (y**2).mean() ** 2)
    assert kurtosis[1.0] > 50
    assert kurtosis[1.0] > kurtosis[0.5] > kurtosis[0.0]
    assert np.abs(np.fft.rfft(faint(x, 0.0, rng)))[1:-1] == pytest.approx(np.abs(np.fft.rfft(x))[1:-1], abs=1e-2)
