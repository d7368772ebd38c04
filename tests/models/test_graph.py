from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from models.errors import BundleRejected
from models.graph import OPERATORS, check_graph
from models.manifest import PROGNOSIS, output_shapes
from tests.models.making import WIDTH, graph, small_model, tensor

OUTPUTS = output_shapes(PROGNOSIS)
GOOD = small_model().SerializeToString()


def spoilt(change) -> bytes:
    model = small_model()
    change(model)
    return model.SerializeToString()


def external(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")


def external_constant(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["k"], value=tensor("k", np.zeros(1, "f")))
    constant.attribute[0].t.external_data.add(key="location", value="../weights")
    model.graph.node.insert(0, constant)


def loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Softmax", ["a"], ["z"], body=body))


def function(model: onnx.ModelProto) -> None:
    made = helper.make_function("mine", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [])
    model.functions.append(made)


def bomb() -> bytes:
    size = tensor("size", np.array([1 << 15, 1 << 15], np.int64))
    return graph([helper.make_node("ConstantOfShape", ["size"], ["big"])], [size]).SerializeToString()


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.add(domain="com.microsoft", version=1)


def test_a_plain_model_is_accepted():
    check_graph(GOOD, inputs=WIDTH, outputs=OUTPUTS)


def test_every_allowed_operator_exists_in_onnx():
    known = {s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""}
    assert known >= OPERATORS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no nodes"),
        (b"\0\1\2", "not an ONNX file"),
        (spoilt(external), "outside the bundle"),
        (spoilt(external_constant), "outside the bundle"),
        (spoilt(loop), "a graph of its own"),
        (spoilt(function), "functions"),
        (spoilt(foreign), "foreign domain"),
        (spoilt(lambda m: setattr(m.graph.node[0], "domain", "com.evil")), "com.evil.MatMul"),
        (spoilt(lambda m: setattr(m.graph.node[0], "op_type", "NoSuchThing")), "NoSuchThing"),
        (bomb(), "ConstantOfShape"),
        (spoilt(lambda m: m.graph.sparse_initializer.add()), "sparse"),
        (spoilt(lambda m: m.training_info.add()), "training"),
        (spoilt(lambda m: m.graph.node.extend([m.graph.node[0]] * 2001)), "nodes"),
        (spoilt(lambda m: m.graph.input.add(name="second")), "inputs"),
        (spoilt(lambda m: m.graph.output.pop()), "outputs"),
        (small_model().SerializeToString() + b"\x3a\x05\x62\x03\x0a\x01z", "outputs"),
    ],
)
def test_a_graph_that_could_harm_a_device_is_refused(data: bytes, words: str):
    with pytest.raises(BundleRejected, match=words):
        check_graph(data, inputs=WIDTH, outputs=OUTPUTS)


@pytest.mark.parametrize(
    "outputs",
    [
        {"degradation": ["N"], "rul_s": ["N", "K"]},
        {"degradation": ["N"], "rul_s": ["N", 2]},
        {"degradation": ["N", 1], "rul_s": ["N", 3]},
        {"degradation": [1], "rul_s": ["N", 3]},
        {"rul_s": ["N", 3], "degradation": ["N"]},
    ],
)
def test_only_the_number_of_windows_may_be_free(outputs: dict[str, list[object]]):
    model = graph(small_model().graph.node, small_model().graph.initializer, outputs=outputs)
    with pytest.raises(BundleRejected):
        check_graph(model.SerializeToString(), inputs=WIDTH, outputs=OUTPUTS)


def test_another_width_than_the_manifest_says_is_refused():
    with pytest.raises(BundleRejected, match="condition"):
        check_graph(GOOD, inputs=WIDTH + 1, outputs=OUTPUTS)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_judged_without_another_error(data: bytes):
    with pytest.raises(BundleRejected):
        check_graph(data, inputs=WIDTH, outputs=OUTPUTS)


@given(position=st.integers(0, 400), value=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_damaged_graph_is_judged_without_another_error(position: int, value: int):
    data = bytearray(GOOD)
    data[position] = value
    with contextlib.suppress(BundleRejected):
        check_graph(bytes(data), inputs=WIDTH, outputs=OUTPUTS)
