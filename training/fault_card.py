"""The card of a model of faults: what it was made from, how it did on bearings it had not seen, and its limits."""

from __future__ import annotations

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

| right | wrong | abstained | healthy accused |
| --- | --- | --- | --- |
| {right} | {wrong} | {abstained} | {accused} |

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
    head = "| recording | fault | said |\n| --- | --- | --- |\n"
    return _TEXT.format(
        dataset=model.lineage.dataset,
        name=name,
        machine_class=machine_class,
        faults=", ".join(model.faults),
        machines=len(model.lineage.machines),
        seed=model.lineage.seed,
        protocol=e["protocol"],
        right=e["right"],
        wrong=e["wrong"],
        abstained=e["abstained"],
        accused=e["healthy_accused"],
        by_machine=head + rows if rows else "No bearing could be left out: too few of them.\n",
        versions=", ".join(f"{n} {v}" for n, v in sorted(model.lineage.versions.items())),
        parity=model.parity_max_abs,
    )
