"""The card of an anomaly model: what it was made from, what its alarms cost, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training import card_parts as parts
from training.model import Model

_TEXT = """# {name}

Slow channels of one machine of the class `{machine_class}` -> how far it is from its healthy self (0 to 1; the alarm
begins at {warn}). It learned from {machines} machines: {learned}.

## Figures, beside their floors

{figures}{budget}
### Machine by machine

{by_machine}
## Limits of use

- The first {start} windows of a machine are taken as healthy, whatever they are.
- What comes slowly, over much more than {slow:.0f} windows, moves the level that departures are measured from. What
  changed while the machine stood still does so too.
- It says that something is different, not what, and no remaining life.
- On data without any trend or structure the limit may be crossed more often than the budget says: it was set on the
  machines above.
- It adds to each machine's own baseline alarm and never replaces it. No safety function may depend on it.

Channels: {channels}.

"""


def write_anomaly_card(name: str, machine_class: str, model: Model) -> str:
    """Return the card as Markdown with a Hugging Face style header; the same model gives the same text."""
    e, view = model.evaluation, model.lineage.configuration["view"]
    text = _TEXT.format(
        name=name,
        machine_class=machine_class,
        warn=model.thresholds.warn,
        machines=len(model.lineage.machines),
        learned=e["learned"],
        figures=parts.figures(e),
        budget=_budget(e),
        by_machine=parts.table(e["by_machine"]),
        start=view["start_windows"],
        slow=view["slow_windows"],
        channels=", ".join(view["channels"]),
    )
    head = parts.header(name, model, task="anomaly-detection", tags=("slow-channels",), metrics=parts.metrics(e))
    return head + text + parts.made(model)


def _budget(evaluation: Mapping[str, Any]) -> str:
    """How sure the count of false alarms is, and how many faults there were to be found."""
    if "false_alarms_interval" not in evaluation:
        return ""
    low, high = evaluation["false_alarms_interval"]
    return (
        f"{evaluation['false_alarms_allowed']} false alarms were allowed in {evaluation['healthy_windows']} healthy "
        f"windows; as many as were counted come from a mean of {low} to {high} (Poisson, 95 %).\n"
        f"{evaluation.get('marked_faults', 'No')} faults were marked.\n"
    )
