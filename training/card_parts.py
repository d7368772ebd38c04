"""Parts of a model card that every kind of model has: the Hugging Face header, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from training.bounds import binomial_interval
from training.footprint import MOST_MEGABYTES, MOST_MILLISECONDS
from training.model import Model


class Metric(NamedTuple):
    """One figure of the header's model index."""

    type: str  # such as rul_mae_s
    name: str
    value: float


def header(name: str, model: Model, *, task: str, tags: Sequence[str], metrics: Sequence[Metric]) -> str:
    """The YAML between two lines of dashes that model hubs read; `task` such as anomaly-detection."""
    lines = ["---", "language: en", "license: other", "license_name: as-the-recordings-it-learned-from"]
    lines += ["library_name: onnx", "pipeline_tag: other", "tags:", "- predictive-maintenance"]
    lines += [f"- {tag}" for tag in (task, *tags)]
    lines += ["model-index:", f"- name: {json.dumps(name)}", "  results:", "  - task:", f"      type: {task}"]
    lines += ["    dataset:", "      type: private", f"      name: sha256 {model.lineage.dataset}", "    metrics:"]
    for metric in metrics:
        lines += [
            f"    - type: {metric.type}",
            f"      name: {json.dumps(metric.name)}",
            f"      value: {metric.value}",
        ]
    return "\n".join([*lines, "---", ""])


def share(hits: int, trials: int) -> str:
    """A share with its exact 95 % interval: "4 of 5 (28 % to 99 %)"."""
    low, high = binomial_interval(hits, trials)
    return f"{hits} of {trials} ({low:.0%} to {high:.0%})"


def made(model: Model) -> str:
    """How it was made, and what it costs a device."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(model.lineage.versions.items()))
    graph, cost = model.evaluation.get("graph"), ""
    if graph is not None:
        cost = (
            f"The graph has {graph['parameters']:,} parameters in {graph['bytes']:,} bytes. When it was exported one "
            f"window took less than {MOST_MILLISECONDS:g} ms of CPU time and {MOST_MEGABYTES:g} MB of memory, or it "
            "would have been refused.\n"
        )
    return (
        f"## How it was made\n\nSeed {model.lineage.seed}, {versions}. torch and ONNX Runtime differ by at most "
        f"{model.parity_max_abs:.1e}. The same data, configuration, seed and versions give the same file on one "
        f"machine.\n{cost}"
    )
