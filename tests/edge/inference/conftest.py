"""Models that are told what to say: an ONNX graph whose outputs are plain functions of one input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.inference import LoadedBundle
from edge.types import Channel, ChannelKind, FeatureRow, Kind, Machine, Quality, Schema
from models.bundle import feature_hash
from models.features import WAVEFORM
from models.history import History, HistoryConfig
from models.manifest import FORMAT, Lineage, Manifest, Thresholds

FEATURES = tuple(s.id for s in WAVEFORM)
SCHEMA = Schema(FEATURES, tuple(s.unit.replace("=", "g") for s in WAVEFORM))
HEALTHY = np.array([0.3, 1.2, 4, 3, 0.1, 1.25, 0.2, 0.1, 0.1, 0.05, 0.1, 4000, 0.1], np.float32)
MACHINE = Machine(
    name="P-101",
    machine_class="pump",
    channels=tuple(Channel(name=n, kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25_600.0) for n in ("h", "v")),
)


def _graph(
    width: int, column: int, gain: float, quantiles: Sequence[float], second: str, *, trend: bool = False
) -> bytes:
    """degradation = gain * column; the second output = quantiles - 3600 * column, of faults the quantiles alone.

    A trend = 10 * column.
    """
    pick = np.zeros((width, 1), np.float32)
    pick[column] = 1.0
    weights = {
        "pick": pick,
        "gain": np.array([[gain]], np.float32),
        "hours": np.full((1, 3), -3600.0 if second == "rul_s" else 0.0, np.float32),
        "quantiles": np.array(quantiles, np.float32),
        "axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["condition", "pick"], ["x"]),
        helper.make_node("MatMul", ["x", "gain"], ["a"]),
        helper.make_node("Squeeze", ["a", "axis"], ["degradation"]),
        helper.make_node("MatMul", ["x", "hours"], ["b"]),
        helper.make_node("Add", ["b", "quantiles"], [second]),
    ]
    value = helper.make_tensor_value_info
    outputs = [value("degradation", TensorProto.FLOAT, ["N"]), value(second, TensorProto.FLOAT, ["N", 3])]
    if trend:
        weights["ten"] = np.array([[10.0]], np.float32)
        nodes += [
            helper.make_node("MatMul", ["x", "ten"], ["c"]),
            helper.make_node("Squeeze", ["c", "axis"], ["trend"]),
        ]
        outputs.append(value("trend", TensorProto.FLOAT, ["N"]))
    graph = helper.make_graph(
        nodes,
        "told",
        [value("condition", TensorProto.FLOAT, ["N", width])],
        outputs,
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def make_bundle(
    name: str = "pump-1",
    features: Sequence[str] = FEATURES,
    config: HistoryConfig | None = None,
    *,
    look_at: str = "",
    gain: float = 0.5,
    quantiles: Sequence[float] = (3600.0, 7200.0, 14_400.0),
    faults: Sequence[float] = (),
    trend: bool = False,
) -> LoadedBundle:
    """A model that looks at one of its inputs, the fast deviation of its first feature unless told."""
    config = config or HistoryConfig()
    inputs = History(features, config).inputs
    manifest = Manifest(
        format=FORMAT,
        name=name,
        machine_class="pump",
        features=tuple(features),
        feature_hash=feature_hash(tuple(features)),
        view=config,
        inputs=inputs,
        thresholds=Thresholds(warn=0.5, act=0.8),
        coverage="not guaranteed: a model for tests",
        lineage=Lineage(dataset="0" * 64, machines=("a",), configuration={}, seed=0, versions={}),
        evaluation={},
        parity_max_abs=0.0,
        outputs=("degradation", "fault") if faults else ("degradation", "rul_s", *(["trend"] if trend else [])),
        faults=("normal", "inner", "outer") if faults else (),
    )
    column = inputs.index(look_at or inputs[0])
    graph = _graph(len(inputs), column, gain, faults or quantiles, manifest.outputs[1], trend=trend)
    return LoadedBundle(manifest, graph)


def make_rows(
    factor: float, channels: str = "hv", schema: Schema = SCHEMA, quality: Quality = Quality.GOOD
) -> list[FeatureRow]:
    values = (HEALTHY[: len(schema.columns)] * np.float32(factor)).astype(np.float32)
    return [FeatureRow(c, Kind.FEATURES, schema, values, quality) for c in channels]


@pytest.fixture
def bundle() -> Callable[..., LoadedBundle]:
    return make_bundle


@pytest.fixture
def rows() -> Callable[..., list[FeatureRow]]:
    return make_rows


@pytest.fixture
def machine() -> Machine:
    return MACHINE
