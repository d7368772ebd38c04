"""The card of a model of faults: what it was made from, how it did on bearings it had not seen, and its limits."""

from __future__ import annotations

from training import card_parts as parts
from training.model import Model

_TEXT = """# {name}

Lines of a bearing and shape of a vibration, of one machine of the class `{machine_class}` -> probabilities of {faults}.
It learned from {machines} recordings.

## Figures, beside their floors

{figures}
### Recording by recording

{by_machine}
## Limits of use

- Physics names a part before this model does and is never overruled by it (`edge.detection.fault`).
- It tells which part is damaged, not how badly: it warns, and never says "act now".
- A ball is what is struck without a line of a race. A machine whose spectrum changed for another reason can look so.
- On spectra far from those it learned from it gives all classes the same probability.
- It needs the shaft's speed and the bearing's geometry.
- It adds to each machine's own baseline alarm and never replaces it. No safety function may depend on it.

"""
_NOT_JUDGED = "**Not judged**: no bearing could be left out and both races still be learned.\n"


def write_fault_card(name: str, machine_class: str, model: Model) -> str:
    """Return the card as Markdown with a Hugging Face style header; the same model gives the same text."""
    e = model.evaluation
    judged = bool(e["by_machine"])
    text = _TEXT.format(
        name=name,
        machine_class=machine_class,
        faults=", ".join(model.faults),
        machines=len(model.lineage.machines),
        figures=parts.figures(e) + f"{e['abstained']} abstentions.\n" if judged else _NOT_JUDGED,
        by_machine=parts.table(e["by_machine"]) if judged else _NOT_JUDGED,
    )
    tags = ("rolling-element-bearings",)
    head = parts.header(name, model, task="fault-diagnosis", tags=tags, metrics=parts.metrics(e))
    return head + text + parts.made(model)
