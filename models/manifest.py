"""What a bundle says of its model: everything an edge needs to run it and a person needs to trust it."""

from __future__ import annotations

from typing import Any

import msgspec

from models.history import HistoryConfig

FORMAT = 1  # raised when an older edge could misread a bundle


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
    history: HistoryConfig
    inputs: tuple[str, ...]  # the condition vector's names, D of them
    thresholds: Thresholds
    coverage: str  # what the intervals promise: "90 %, conformal over 12 machines" or "not guaranteed: 4 machines"
    lineage: Lineage
    evaluation: dict[str, Any]  # by measure: ours beside its floors, leaving one machine out
    parity_max_abs: float  # torch against ONNX Runtime on the golden vectors
    simulated: bool = False


# The ONNX graph: "condition" float32 (N, D) -> "degradation" float32 (N,), "rul_s" float32 (N, 3): p05, p50, p95.
INPUT = "condition"
OUTPUTS = ("degradation", "rul_s")
