"""What a bundle says of its model: everything an edge needs to run it and a person needs to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from models.views import ViewConfig

# The ONNX graph: `condition` float32 (N, D) -> some of these, float32; the first is always there.
INPUT = "condition"
DEGRADATION = "degradation"  # (N,) 0 as new .. 1 failed; of an anomaly model: how far from its healthy self
RUL = "rul_s"  # (N, 3) remaining useful life in seconds of the event time: p05, p50, p95
TREND = "trend"  # (N,) how far from its healthy start, in what counts as a trend: below 1, no estimate of a life
FAULT = "fault"  # (N, K) probability of each class of fault; the first class is `normal`
OUTPUTS = (DEGRADATION, RUL, TREND, FAULT)
PROGNOSIS = (DEGRADATION, RUL)
FORMAT = 2  # raised when an older edge could misread a bundle


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a degradation becomes an alarm (ISA-18.2: on and off delay, deadband)."""

    warn: float  # zone C, plan work
    act: float  # zone D, act now
    deadband: float = 0.1  # how far below the limit it must fall to return to normal
    on_delay_windows: int = 3
    off_delay_windows: int = 10


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model was made from; the same lineage gives the same bytes on one machine."""

    dataset: str  # sha256 over the feature rows and labels it learned from
    machines: tuple[str, ...]
    configuration: dict[str, Any]
    seed: int
    versions: dict[str, str]  # of Forewarn, torch, onnx


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest of a bundle, `manifest.json` inside the file."""

    format: int
    name: str
    machine_class: str
    features: tuple[str, ...]
    feature_hash: str  # hex of models.features.schema_id over `features`
    view: ViewConfig  # how the condition vector is made
    inputs: tuple[str, ...]  # the condition vector's names, D of them
    thresholds: Thresholds
    coverage: str  # what the intervals promise: "90 %, conformal over 12 machines" or "not guaranteed: 4 machines"
    lineage: Lineage
    evaluation: dict[str, Any]  # by measure: ours beside its floors, leaving one machine out
    parity_max_abs: float  # torch against ONNX Runtime on the golden vectors
    simulated: bool = False
    outputs: tuple[str, ...] = PROGNOSIS  # of the graph, in its order; `degradation` is the first
    faults: tuple[str, ...] = ()  # the classes of the output `fault`, K of them

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each output, less the N windows in front."""
        return output_shapes(self.outputs, len(self.faults))


def output_shapes(outputs: Sequence[str], faults: int = 0) -> dict[str, tuple[int, ...]]:
    """Return the shape of each output of a graph with so many classes of faults, less the N windows in front."""
    known: dict[str, tuple[int, ...]] = {DEGRADATION: (), RUL: (3,), TREND: (), FAULT: (faults,)}
    return {name: known[name] for name in outputs}
