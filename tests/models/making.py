"""Bundles for tests: a small but whole model, and the ways to spoil one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edge.updater.examine import golden_features
from models.bundle import feature_hash, pack
from models.features import WAVEFORM
from models.golden import Golden
from models.history import History, HistoryConfig
from models.manifest import FORMAT, Lineage, Manifest, Thresholds

FEATURES = tuple(f.id for f in WAVEFORM)
WIDTH = 3 * len(FEATURES) + 1
RATE_HZ = 25_600.0


@dataclass(frozen=True)
class Parts:
    """What a bundle is packed from."""

    manifest: Manifest
    onnx: bytes
    golden: Golden
    card: str

    def pack(self) -> bytes:
        return pack(self.manifest, self.onnx, self.golden, self.card)

    def with_manifest(self, **changes: object) -> Parts:
        return replace(self, manifest=msgspec.structs.replace(self.manifest, **changes))

    def with_golden(self, **changes: object) -> Parts:
        return replace(self, golden=replace(self.golden, **changes))

    def with_output(self, **changes: np.ndarray) -> Parts:
        return self.with_golden(outputs={**self.golden.outputs, **changes})

    def with_onnx(self, data: bytes) -> Parts:
        return replace(self, onnx=data)


def graph(
    nodes: Sequence[onnx.NodeProto],
    weights: Sequence[onnx.TensorProto] = (),
    *,
    outputs: dict[str, list[object]] | None = None,
    domains: Sequence[str] = ("",),
    width: int = WIDTH,
) -> onnx.ModelProto:
    """A model with the contract's input and outputs around `nodes`."""
    shapes = {"degradation": ["N"], "rul_s": ["N", 3]} if outputs is None else outputs
    made = helper.make_graph(
        list(nodes),
        "model",
        [helper.make_tensor_value_info("condition", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        list(weights),
    )
    opsets = [helper.make_opsetid(d, 20 if d == "" else 1) for d in domains]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)


def tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


def small_model(seed: int = 1) -> onnx.ModelProto:
    """Degradation and rising quantiles from one matrix each."""
    random = np.random.default_rng(seed)
    weights = [
        tensor("w1", random.normal(size=(WIDTH, 1)).astype("f") / WIDTH),
        tensor("w2", random.normal(size=(WIDTH, 3)).astype("f") / WIDTH),
        tensor("axis", np.array([1], np.int64)),
        tensor("one", np.array(1, np.int64)),
        tensor("hour", np.array(3600, np.float32)),
    ]
    nodes = [
        helper.make_node("MatMul", ["condition", "w1"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["b"]),
        helper.make_node("Squeeze", ["b", "axis"], ["degradation"]),
        helper.make_node("MatMul", ["condition", "w2"], ["c"]),
        helper.make_node("Softplus", ["c"], ["d"]),
        helper.make_node("CumSum", ["d", "one"], ["e"]),
        helper.make_node("Mul", ["e", "hour"], ["rul_s"]),
    ]
    return graph(nodes, weights)


def make_parts(name: str = "bearing-1", machine_class: str = "bearing", seed: int = 1) -> Parts:
    """A bundle that passes every check."""
    random = np.random.default_rng(seed)
    data = small_model(seed).SerializeToString()
    waveforms = random.normal(size=(2, 2560)).astype("f")
    condition = random.normal(size=(5, WIDTH)).astype("f")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    degradation, rul_s = session.run(["degradation", "rul_s"], {"condition": condition})
    golden = Golden(
        rate_hz=RATE_HZ,
        waveforms=waveforms,
        features=golden_features(waveforms, RATE_HZ, FEATURES),
        condition=condition,
        outputs={"degradation": degradation, "rul_s": rul_s},
    )
    manifest = Manifest(
        format=FORMAT,
        name=name,
        machine_class=machine_class,
        features=FEATURES,
        feature_hash=feature_hash(FEATURES),
        view=HistoryConfig(),
        inputs=History(FEATURES).inputs,
        thresholds=Thresholds(warn=0.5, act=0.8),
        coverage="not guaranteed: a model for tests",
        lineage=Lineage(
            dataset="0" * 64, machines=("M-1", "M-2", "M-3"), configuration={"b": 1, "a": 2.5}, seed=seed, versions={}
        ),
        evaluation={
            "split": "machine",
            "machines": 3,
            "classes": {"healthy": 2, "worn": 3},
            "mae": {"ours": 1.0, "constant": 2.0},
        },
        parity_max_abs=0.0,
    )
    return Parts(manifest, data, golden, "# A model for tests\n")
