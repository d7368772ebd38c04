"""Networks to ONNX: the same weights give the same bytes, wherever they are exported.

PyTorch's exporter writes source paths, line numbers and its own version into nodes; all of that is removed, so that two
folders give one file and a bundle tells nothing about the machine it was made on.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from models.errors import ForewarnError
from models.graph import check_graph
from models.history import FloatArray
from models.manifest import INPUT, OUTPUTS, RUL
from training.repeatable import repeatable

OPSET = 18
IR_VERSION = 10
PARITY = 1e-5  # largest difference of torch and ONNX Runtime that is exported; how it is measured: `parity`


def export(network: nn.Module, probe: FloatArray, outputs: Mapping[str, tuple[int, ...]]) -> tuple[bytes, float]:
    """Export a network that takes conditions (N, D) and prove it on the probe (m, D): the graph and its parity.

    `outputs` are the network's, in its order, with their shapes less the N in front.
    """
    data = _to_onnx(network, probe.shape[1], outputs)
    off = parity(network, data, probe, tuple(outputs))
    if not off <= PARITY:
        raise ForewarnError(f"the exported graph differs from torch by {off:.2g}, more than {PARITY:g}")
    return data, off


def _to_onnx(network: nn.Module, inputs: int, outputs: Mapping[str, tuple[int, ...]]) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with repeatable(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        program = torch.onnx.export(
            network,
            (torch.zeros(2, inputs),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("N")},),
            verbose=False,
        )
    assert program is not None
    model = _strip(program.model_proto)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    check_graph(data, inputs=inputs, outputs=outputs)
    return data


def parity(network: nn.Module, data: bytes, condition: FloatArray, outputs: tuple[str, ...]) -> float:
    """Largest difference between torch and ONNX Runtime on (m, D).

    Of a remaining life it is relative to the larger of the value and a minute, of the other outputs absolute.
    """
    ours = run_onnx(data, condition, outputs)
    with repeatable(0), torch.no_grad():
        wanted = network(torch.from_numpy(np.array(condition)))
    worst = 0.0
    for name, tensor in zip(outputs, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        value = tensor.numpy()
        scale = np.maximum(np.abs(value), 60.0) if name == RUL else 1.0
        worst = max(worst, float((np.abs(ours[name] - value) / scale).max()))
    return worst


def run_onnx(data: bytes, condition: FloatArray, outputs: tuple[str, ...]) -> dict[str, FloatArray]:
    """What a device computes of (m, D), by output."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(list(outputs), {INPUT: condition}), strict=True))


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
