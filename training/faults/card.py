"""The card of a model of faults: what it was made from, how it did on bearings it had not seen, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.model import Model

_TEXT = """---
library_name: forewarn
tags:
  - predictive-maintenance
  - rolling-element-bearings
  - onnx
datasets:
  - sha256:{dataset}
---

# {name}

Lines of a bearing and shape of a vibration, of one machine of the class `{machine_class}` -> probabilities of {faults}.
It learned from {machines} recordings, seed {seed}.

## Figures

Protocol: {protocol}.

{figures}
{abstained} abstentions. With a split that leaks, every second window of a recording learned from, {leaking:.0%} would
be right: not what a new machine will see.

{by_machine}
## Limits

- Physics names a part before this model does and is never overruled by it (`edge.detection.fault`).
- It tells which part is damaged, not how badly: it warns, and never says "act now".
- A ball is what is struck without a line of a race. A machine whose spectrum changed for another reason can look so.
- On spectra far from those it learned from it gives all classes the same probability.
- It needs the shaft's speed and the bearing's geometry. No safety function may depend on it.

## How it was made

{versions}. torch and ONNX Runtime differ by at most {parity:.1e}. The same data, settings, seed and versions give
the same file on one machine.
"""


def write_fault_card(name: str, machine_class: str, model: Model) -> str:
    """Return the card as Markdown with a Hugging Face style header; the same model gives the same text."""
    e = model.evaluation
    rows = "".join(f"| {m['machine']} | {m['fault']} | {m['said']} |\n" for m in e["by_machine"])
    return _TEXT.format(
        dataset=model.lineage.dataset,
        name=name,
        machine_class=machine_class,
        faults=", ".join(model.faults),
        machines=len(model.lineage.machines),
        seed=model.lineage.seed,
        protocol=e["protocol"],
        figures=_figures(e),
        abstained=e["abstained"],
        leaking=e["leaking"],
        by_machine="| recording | fault | said |\n| --- | --- | --- |\n" + rows if rows else "",
        versions=", ".join(f"{n} {v}" for n, v in sorted(model.lineage.versions.items())),
        parity=model.parity_max_abs,
    )


def _figures(evaluation: Mapping[str, Any]) -> str:
    if "right" not in evaluation:
        return "**Not judged**: no bearing could be left out and both races still be learned.\n"
    lines = ["| | right | healthy accused |", "| --- | --- | --- |"]
    for name, right in evaluation["right"].items():
        lines.append(f"| {name.replace('_', ' ')} | {right:.0%} | {evaluation['healthy_accused'][name]} |")
    return "\n".join(lines) + "\n"
