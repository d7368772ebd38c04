"""What an ONNX graph may be before ONNX Runtime is allowed to see it.

A graph is a program. A device runs only programs of a small, flat kind:
 * every weight is inside the file: no path leads out of it;
 * operators come from a list of plain arithmetic, without those that ask for gigabytes in forty bytes
   (`ConstantOfShape`, `Expand`, `Range`, loops); what can still grow (a product of two long vectors) meets the memory
   limit of the process that runs a graph for the first time;
 * one input (N, D) and the outputs that its manifest names, with only N free.

The device has no `onnx` package, so the few fields that matter are read with protobuf from a description of our own
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3); fields that are not described are left alone by protobuf.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from models.errors import BundleRejected
from models.manifest import INPUT

MOST_NODES = 2_000
DOMAINS = ("", "ai.onnx")  # two spellings of ONNX's own operators
_ARITHMETIC = (
    "Abs Add Ceil Cos Div Erf Exp Floor Log Max Mean Min Mod Mul Neg Pow Reciprocal Round Sign Sin Sqrt Sub Sum"
)
_LOGIC = "And Equal Greater GreaterOrEqual Less LessOrEqual Not Or Where"
_SHAPE = "Cast CastLike Concat Constant Flatten Gather Identity Reshape Shape Slice Split Squeeze Transpose Unsqueeze"
_OVER_AN_AXIS = "CumSum LogSoftmax ReduceMax ReduceMean ReduceMin ReduceSum Softmax"
_LAYER = "BatchNormalization Conv GRU Gemm GlobalAveragePool InstanceNormalization LSTM LayerNormalization MatMul"
_ACTIVATION = "Clip Elu Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu Relu Selu Sigmoid Softplus Softsign Swish Tanh"
OPERATORS = frozenset(" ".join((_ARITHMETIC, _LOGIC, _SHAPE, _OVER_AN_AXIS, _LAYER, _ACTIVATION)).split())
_FLOAT = 1  # TensorProto.DataType.FLOAT

# message: {field: (number, type, repeated)}; a type that starts with a capital letter is another message of this table
_FIELDS: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Model": {
        "graph": (7, "Graph", False),
        "opset_import": (8, "Opset", True),
        "training_info": (20, "Anything", True),
        "functions": (25, "Anything", True),
    },
    "Anything": {},
    "Opset": {"domain": (1, "string", False), "version": (2, "int64", False)},
    "Graph": {
        "node": (1, "Node", True),
        "initializer": (5, "Tensor", True),
        "input": (11, "Value", True),
        "output": (12, "Value", True),
        "sparse_initializer": (15, "Anything", True),
    },
    "Node": {"op_type": (4, "string", False), "attribute": (5, "Attribute", True), "domain": (7, "string", False)},
    "Attribute": {
        "name": (1, "string", False),
        "t": (5, "Tensor", False),
        "g": (6, "Anything", False),
        "tensors": (10, "Tensor", True),
        "graphs": (11, "Anything", True),
        "sparse_tensor": (22, "Anything", False),
        "sparse_tensors": (23, "Anything", True),
    },
    "Tensor": {"external_data": (13, "Anything", True), "data_location": (14, "int32", False)},
    "Value": {"name": (1, "string", False), "type": (2, "Type", False)},
    "Type": {"tensor_type": (1, "TensorType", False)},
    "TensorType": {"elem_type": (1, "int32", False), "shape": (2, "Shape", False)},
    "Shape": {"dim": (1, "Dimension", True)},
    "Dimension": {"dim_value": (1, "int64", False), "dim_param": (2, "string", False)},
}


def check_graph(onnx: bytes, *, inputs: int, outputs: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a graph that is not of the kind above. Raises `BundleRejected` with the first reason.

    `inputs` is D; `outputs` has the shape of each output, less the N in front (`Manifest.shapes`).
    """
    model = _model_class()()
    try:
        model.ParseFromString(onnx)
    except message.DecodeError as e:
        raise BundleRejected("model.onnx is not an ONNX file") from e
    graph = model.graph
    if not graph.node:
        raise BundleRejected("model.onnx has no nodes")
    if len(graph.node) > MOST_NODES:
        raise BundleRejected(f"the graph has {len(graph.node)} nodes, more than {MOST_NODES}")
    if foreign := {o.domain for o in model.opset_import} - set(DOMAINS):
        raise BundleRejected(f"the graph uses operators of a foreign domain: {', '.join(sorted(foreign))}")
    if model.functions or model.training_info or graph.sparse_initializer:
        raise BundleRejected("the graph holds functions, training or sparse weights")
    for node in graph.node:
        _check_node(node)
    _check_tensors(graph.initializer)
    _check_values("input", graph.input, {INPUT: (None, inputs)})
    _check_values("output", graph.output, {name: (None, *shape) for name, shape in outputs.items()})


def _check_node(node: Any) -> None:
    if node.domain not in DOMAINS or node.op_type not in OPERATORS:
        raise BundleRejected(f"the operator {node.domain or 'ai.onnx'}.{node.op_type} is not allowed on a device")
    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs:
            raise BundleRejected(f"the operator {node.op_type} holds a graph of its own")
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise BundleRejected(f"the operator {node.op_type} holds sparse weights")
        _check_tensors([attribute.t] if attribute.HasField("t") else [])
        _check_tensors(attribute.tensors)


def _check_tensors(tensors: Iterable[Any]) -> None:
    if any(t.external_data or t.data_location for t in tensors):
        raise BundleRejected("the graph takes weights from a file outside the bundle")


def _check_values(what: str, values: Any, wanted: dict[str, tuple[int | None, ...]]) -> None:
    if tuple(v.name for v in values) != tuple(wanted):
        raise BundleRejected(f"the graph's {what}s are {[v.name for v in values]}, expected {list(wanted)}")
    for value in values:
        tensor = value.type.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
        if tensor.elem_type != _FLOAT or shape != wanted[value.name]:
            shown = ", ".join("N" if d is None else str(d) for d in shape)
            raise BundleRejected(f"the {what} {value.name} has the shape ({shown}) or a type that is not float32")


@functools.cache
def _model_class() -> type[Any]:
    """Build the message class in a pool of its own, so that an installed `onnx` package does not collide."""
    file = descriptor_pb2.FileDescriptorProto(name="graph.proto", package="forewarn_graph", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            added = described.field.add(name=field, number=number, label=label)
            if kind[0].isupper():
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".forewarn_graph.{kind}"
            else:
                added.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName("forewarn_graph.Model"))
    return made
