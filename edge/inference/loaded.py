"""A bundle in memory: exactly one ONNX Runtime session, which all machines of its class share.

One thread without spinning: on models of this size a second thread costs twice the CPU and saves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.bundle import unpack
from models.errors import BundleRejected
from models.graph import check_graph
from models.manifest import DEGRADATION, FAULT, INPUT, RUL, TREND, Manifest

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a graph gives for N windows; None is an output that its model does not have."""

    degradation: FloatArray  # (N,) 0 as new .. 1 failed
    rul_s: FloatArray | None  # (N, 3) p05, p50, p95
    trend: FloatArray | None  # (N,) below 1 there is no trend, and no remaining life that could be told
    fault: FloatArray | None  # (N, K) probabilities, in the order of the manifest's `faults`


class LoadedBundle:
    """A model that is ready to run."""

    def __init__(self, manifest: Manifest, onnx: bytes) -> None:
        """Load the graph; BundleRejected when it is not one that a device may run, or not one of this manifest."""
        self.manifest = manifest
        check_graph(onnx, inputs=len(manifest.inputs), outputs=manifest.shapes)
        try:
            self._session = ort.InferenceSession(onnx, _options(), providers=["CPUExecutionProvider"])
        except Exception as e:  # ONNX Runtime's errors have no common class below Exception
            raise BundleRejected(f"ONNX Runtime does not load it: {e}", where=f"bundle {manifest.name}") from e

    @classmethod
    def open(cls, path: Path) -> LoadedBundle:
        """Read a bundle's file; BundleRejected when it is missing, damaged or not runnable."""
        try:
            data = path.read_bytes()
        except OSError as e:
            raise BundleRejected(f"the file cannot be read: {e.strerror}", where=str(path)) from e
        return cls.read(data)

    @classmethod
    def read(cls, data: bytes) -> LoadedBundle:
        """The bundle of these bytes; BundleRejected when they are damaged or not runnable."""
        bundle = unpack(data)
        return cls(bundle.manifest, bundle.onnx)

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.manifest.name

    def infer(self, condition: FloatArray) -> Answer:
        """(N, D) conditions -> what the graph gives."""
        names = self.manifest.outputs
        found = dict(zip(names, self._session.run(names, {INPUT: condition}), strict=True))
        return Answer(found[DEGRADATION], found.get(RUL), found.get(TREND), found.get(FAULT))


def _options() -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False  # an arena would keep its largest size for good
    options.log_severity_level = 3  # errors; warnings about a graph are the exporter's business
    return options
