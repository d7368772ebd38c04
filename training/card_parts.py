"""Parts of a model card that every kind of model has: the Hugging Face header, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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


def measures(evaluation: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """What has a figure of `ours` beside its floors."""
    return {n: cells for n, cells in evaluation.items() if isinstance(cells, Mapping) and "ours" in cells}


def metrics(evaluation: Mapping[str, Any]) -> list[Metric]:
    """All of them, for the header."""
    return [Metric(n, n.replace("_", " "), cells["ours"]) for n, cells in measures(evaluation).items()]


def figures(evaluation: Mapping[str, Any]) -> str:
    """All of them as a table, and where ours is what it is only with a split that leaks."""
    found = measures(evaluation)
    who = list(dict.fromkeys(name for cells in found.values() for name in cells))
    rows = []
    for name, cells in found.items():
        row: dict[str, Any] = {"measure": name.replace("_", " ")}
        rows.append(row | {"this model" if w == "ours" else w: cells.get(w, "") for w in who})
    return f"Protocol: {evaluation['protocol']}.\n\n{table(rows)}\n{_leaking(evaluation['leaking_split'])}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of rows that have the same keys."""
    lines = ["| " + " | ".join(n.replace("_", " ") for n in rows[0]) + " |", "| --- " * len(rows[0]) + "|"]
    lines += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"


def _leaking(split: Mapping[str, Any]) -> str:
    said = ", ".join(f"{n.replace('_', ' ')} {_cell(v)}" for n, v in split.items() if n != "split")
    return (
        f"With windows of one machine on both sides of the split it would be: {said}. Many published figures are of\n"
        "that kind; they say nothing about a machine that was not seen, and the registry refuses them.\n"
    )


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
