"""A network of about 14,000 parameters (the one that ships has 11,000), random weights, as a bundle in memory."""

from __future__ import annotations

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.inference import LoadedBundle
from edge.updater.examine import golden_features
from models.bundle import pack
from models.features import WAVEFORM, schema_id
from models.golden import Golden
from models.history import History, HistoryConfig
from models.manifest import DEGRADATION, FORMAT, INPUT, RUL, Lineage, Manifest, Thresholds

WIDTH = 100
RATE_HZ = 25_600.0


def bundle(seed: int = 0) -> tuple[Manifest, bytes]:
    """The manifest and the ONNX file of a two-layer perceptron over all waveform features."""
    features = tuple(s.id for s in WAVEFORM)
    inputs = History(features).inputs
    manifest = Manifest(
        format=FORMAT,
        name="benchmark",
        machine_class="bearing",
        features=features,
        feature_hash=f"{schema_id(features):016x}",
        view=HistoryConfig(),
        inputs=inputs,
        thresholds=Thresholds(warn=0.5, act=0.8),
        coverage="random weights",
        lineage=Lineage(dataset="", machines=("a", "b", "c"), configuration={}, seed=seed, versions={}),
        evaluation={  # what a registry asks for; nothing was judged
            "split": "machine",
            "machines": 3,
            "classes": {"healthy": 1, "worn": 1},
            "rul_mae_s": {"ours": 0.0, "constant": 0.0},
        },
        parity_max_abs=0.0,
    )
    return manifest, _graph(len(inputs), seed)


def packed(name: str = "benchmark") -> tuple[str, bytes]:
    """The same network as a bundle that a registry takes: its name and its bytes, with golden vectors of its own."""
    manifest, onnx_file = bundle()
    manifest = msgspec.structs.replace(manifest, name=name)
    rng = np.random.default_rng(1)
    waveforms = rng.standard_normal((2, 2560), dtype=np.float32)
    condition = rng.standard_normal((4, len(manifest.inputs)), dtype=np.float32)
    answer = LoadedBundle(manifest, onnx_file).infer(condition)
    assert answer.rul_s is not None
    golden = Golden(
        rate_hz=RATE_HZ,
        waveforms=waveforms,
        features=golden_features(waveforms, RATE_HZ, manifest.features),
        condition=condition,
        outputs={DEGRADATION: answer.degradation, RUL: answer.rul_s},
    )
    return name, pack(manifest, onnx_file, golden, "# A network with random weights, for benchmarks\n")


def parameters(onnx_file: bytes) -> int:
    """How many numbers the file's weights have."""
    return sum(int(np.prod(w.dims)) for w in onnx.load_from_string(onnx_file).graph.initializer)


def _graph(inputs: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    sizes = {"a": (inputs, WIDTH), "b": (WIDTH, WIDTH), "c": (WIDTH, 1), "d": (WIDTH, 3)}
    weights = []
    for name, (rows, columns) in sizes.items():
        w = (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
        weights += [
            numpy_helper.from_array(w, f"w{name}"),
            numpy_helper.from_array(np.zeros(columns, np.float32), f"b{name}"),
        ]
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
    weights.append(numpy_helper.from_array(np.triu(np.ones((3, 3), np.float32)), "rising"))  # p05, p50, p95 in order
    nodes = [
        helper.make_node("Gemm", [INPUT, "wa", "ba"], ["a"]),
        helper.make_node("Relu", ["a"], ["ar"]),
        helper.make_node("Gemm", ["ar", "wb", "bb"], ["b"]),
        helper.make_node("Relu", ["b"], ["br"]),
        helper.make_node("Gemm", ["br", "wc", "bc"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["cs"]),
        helper.make_node("Squeeze", ["cs", "axes"], [DEGRADATION]),
        helper.make_node("Gemm", ["br", "wd", "bd"], ["d"]),
        helper.make_node("Softplus", ["d"], ["ds"]),
        helper.make_node("Gemm", ["ds", "rising"], [RUL]),
    ]
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", inputs])],
        [
            helper.make_tensor_value_info(DEGRADATION, TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info(RUL, TensorProto.FLOAT, ["N", 3]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return bytes(model.SerializeToString())
