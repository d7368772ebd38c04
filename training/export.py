"""Weights to ONNX: the same weights give the same bytes, wherever they are exported.

PyTorch's exporter writes source paths, line numbers and its own version into nodes; all of that is removed, so that two
folders give one file and a bundle tells nothing about the machine it was made on.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import torch

from models.graph import check_graph
from models.manifest import INPUT, OUTPUTS
from training.calibrate import Adjustment
from training.dataset import FloatArray
from training.fit import Weights, load, repeatable

OPSET = 18
IR_VERSION = 10
PARITY = 1e-4  # largest difference of torch and ONNX Runtime that is exported, relative for remaining life


def adjust(weights: Weights, adjustment: Adjustment) -> Weights:
    """Write trust and widening into the weights, so that they travel inside the graph."""
    ends = np.array([-adjustment.widening, 0.0, adjustment.widening], dtype=np.float32)
    return {**weights, "trust": np.array([adjustment.trust], dtype=np.float32), "widening": ends}


def to_onnx(weights: Weights) -> bytes:
    """Export a network: condition (N, D) -> degradation (N,), rul_s (N, 3). Checked against what devices accept."""
    network = load(weights)
    inputs = weights["location"].shape[0] + 1
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with repeatable(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        program = torch.onnx.export(
            network,
            (torch.zeros(2, inputs),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("N")},),
            verbose=False,
        )
    assert program is not None
    model = _strip(program.model_proto)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    check_graph(data, inputs=inputs)
    return data


def parity(weights: Weights, data: bytes, condition: FloatArray) -> float:
    """Largest difference between torch and ONNX Runtime on (m, D).

    Of degradation it is absolute, of remaining life relative to the larger of the value and a minute.
    """
    degradation, rul_s = run_onnx(data, condition)
    network = load(weights)
    with repeatable(0), torch.no_grad():
        wanted_degradation, wanted_rul = (t.numpy() for t in network(torch.from_numpy(np.array(condition))))
    off_rul = np.abs(rul_s - wanted_rul) / np.maximum(np.abs(wanted_rul), 60.0)
    return float(max(np.abs(degradation - wanted_degradation).max(), off_rul.max()))


def run_onnx(data: bytes, condition: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What a device computes: degradation (m,), rul_s (m, 3)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    degradation, rul_s = session.run(list(OUTPUTS), {INPUT: condition})
    return degradation, rul_s


def _strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep the arithmetic and the names of input and outputs; nodes and values are numbered."""
    graph = model.graph
    kept = {INPUT, *OUTPUTS}
    names: dict[str, str] = {"": ""}

    def rename(name: str) -> str:
        return name if name in kept else names.setdefault(name, f"v{len(names)}")

    for node in graph.node:
        node.input[:] = [rename(n) for n in node.input]
        node.output[:] = [rename(n) for n in node.output]
        node.name = ""
        node.doc_string = ""
        del node.metadata_props[:]
    for tensor in graph.initializer:
        tensor.name = rename(tensor.name)
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    del graph.value_info[:]
    del graph.metadata_props[:]
    graph.name, graph.doc_string = "forewarn", ""
    stripped = onnx.ModelProto(ir_version=IR_VERSION, graph=graph, producer_name="forewarn")
    stripped.opset_import.add(domain="", version=OPSET)
    return stripped
