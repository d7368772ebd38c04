"""What every kind of training gives: a graph, how to feed it, its limits, and all that is known of its worth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from models.history import FloatArray
from models.manifest import Lineage, Thresholds
from models.views import ViewConfig

Say = Callable[[str], None]  # told how far long work is, a line at a time


@dataclass(frozen=True, slots=True)
class Answered:
    """What was said of one machine by fits that did not see it, at k cuts."""

    machine: str
    truth_s: NDArray[np.float64]  # (k,)
    rul_s: NDArray[np.float64]  # (k, 3) p05, p50, p95


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that is ready to be packed."""

    onnx: bytes
    features: tuple[str, ...]  # ids, in the order the model sees them
    view: ViewConfig
    inputs: tuple[str, ...]  # names of the D columns of the condition
    outputs: tuple[str, ...]
    faults: tuple[str, ...] = ()
    thresholds: Thresholds
    coverage: str  # what the intervals promise
    evaluation: dict[str, Any]  # by measure, ours beside its floors
    parity_max_abs: float
    lineage: Lineage
    probe: FloatArray  # (m, D) conditions of the training machines, healthy to failed: for golden vectors
    answers: tuple[Answered, ...] = ()  # for a picture


def lineage(dataset: str, machines: Sequence[str], config: msgspec.Struct, seed: int) -> Lineage:
    """What a model's bytes follow from; `dataset` is the digest of what it learned from."""
    return Lineage(
        dataset=dataset,
        machines=tuple(machines),
        configuration=msgspec.to_builtins(config),
        seed=seed,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Of everything that has a part in a graph's bytes."""
    return {
        "python": ".".join(str(v) for v in sys.version_info[:2]),
        "numpy": np.__version__,
        "onnx": onnx.__version__,
        "torch": str(torch.__version__),
    }
