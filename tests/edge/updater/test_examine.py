"""What a bundle must prove on the device, and what happens to one that wants more than the device has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from edge.updater.examine import examine
from edge.updater.messages import Job, Outcome, Verdict
from edge.updater.trial import Trial
from models.errors import BundleRejected
from tests.models.making import graph, make_parts, small_model, tensor

PARTS = make_parts()
TOLD = PARTS.golden.outputs


def with_first_node(*nodes, weights=()) -> bytes:
    """The small model, with `nodes` that turn `condition` into `x` before everything else."""
    model = small_model()
    for node in model.graph.node:
        node.input[:] = ["x" if name == "condition" else name for name in node.input]
    return graph([*nodes, *model.graph.node], [*weights, *model.graph.initializer]).SerializeToString()


def try_in_a_process(data: bytes, folder: Path, deadline_s: float = 30) -> Verdict:
    file = folder / "bundle.fwb"
    file.write_bytes(data)
    job = Job(machine_class="bearing", bundle="", trusted_root=b"", metadata_dir=str(folder), file=str(file))
    return Trial(job, lambda _: [], deadline_s=deadline_s, stop_fetching=lambda: None).run()


def test_a_bundle_that_is_as_it_was_in_training_passes():
    bundle, features, outputs = examine(PARTS.pack(), "bearing")
    assert bundle.manifest.name == "bearing-1"
    assert max(features, outputs) < 1e-5


def test_a_bundle_for_another_machine_class_is_refused():
    with pytest.raises(BundleRejected, match=r"class bearing.*gearbox"):
        examine(PARTS.pack(), "gearbox")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (PARTS.with_golden(features=PARTS.golden.features * 1.005), "golden feature rms@1"),
        (
            PARTS.with_output(degradation=PARTS.golden.outputs["degradation"] + np.float32(0.001)),
            "golden output degradation",
        ),
        (PARTS.with_output(rul_s=PARTS.golden.outputs["rul_s"] * np.float32(1.002)), r"golden output rul_s\[p"),
        (PARTS.with_golden(rate_hz=12_800.0), "golden feature"),
        (PARTS.with_golden(waveforms=np.zeros((2, 32), np.float32)), "does not give the features"),
        (PARTS.with_onnx(small_model(seed=2).SerializeToString()), "golden output"),
        (
            PARTS.with_onnx(
                with_first_node(
                    helper.make_node("Mul", ["condition", "zero"], ["z"]),
                    helper.make_node("Div", ["z", "zero"], ["x"]),
                    weights=[tensor("zero", np.array(0, "f"))],
                )
            ),
            "not finite",
        ),
        (
            PARTS.with_onnx(
                with_first_node(
                    helper.make_node("Slice", ["condition", "from", "to"], ["x"]),
                    weights=[tensor("from", np.array([0], np.int64)), tensor("to", np.array([1], np.int64))],
                )
            ),
            "for 5 windows",
        ),
        (PARTS.with_onnx(with_first_node(helper.make_node("Relu", ["nowhere"], ["x"]))), "cannot run the model"),
        (PARTS.with_onnx(graph([helper.make_node("NoSuchThing", ["condition"], ["x"])]).SerializeToString()), "NoSuch"),
    ],
)
def test_a_bundle_that_is_not_as_it_was_in_training_is_refused(parts, words: str):
    with pytest.raises(BundleRejected, match=words):
        examine(parts.pack(), "bearing")


def test_a_trial_of_a_good_bundle_says_what_it_measured(tmp_path: Path):
    verdict = try_in_a_process(PARTS.pack(), tmp_path)
    assert (verdict.outcome, verdict.name) == (Outcome.ACCEPTED, "bearing-1")
    assert 20 < verdict.peak_rss_mb < 200


def test_a_model_that_grows_beyond_its_memory_ends_in_its_own_process(tmp_path: Path):
    column, row = np.ones((1 << 14, 1), "f"), np.ones((1, 1 << 15), "f")  # their product takes 2 GB
    bomb = with_first_node(
        helper.make_node("ReduceMean", ["condition"], ["mean"], keepdims=0),
        helper.make_node("Add", ["column", "mean"], ["tall"]),
        helper.make_node("MatMul", ["tall", "row"], ["big"]),
        helper.make_node("ReduceMean", ["big"], ["s"], keepdims=0),
        helper.make_node("Add", ["condition", "s"], ["x"]),
        weights=[tensor("column", column), tensor("row", row)],
    )
    verdict = try_in_a_process(PARTS.with_onnx(bomb).pack(), tmp_path)
    assert verdict.outcome is Outcome.REFUSED
    assert "memory" in verdict.reason or "alloc" in verdict.reason
