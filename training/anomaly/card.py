"""The card of an anomaly model: what it was made from, what its alarms cost, and its limits."""

from __future__ import annotations

from training.model import Model

_TEXT = """---
library_name: forewarn
tags:
  - predictive-maintenance
  - anomaly-detection
  - onnx
datasets:
  - sha256:{dataset}
---

# {name}

Slow channels of one machine of the class `{machine_class}` -> how far it is from its healthy self (0 to 1; the alarm
begins at {warn}). It learned from {machines} machines, {how}.

## Figures

| measure | this model | floors |
| --- | --- | --- |
{measures}
Judged {protocol}.

## Limits

- The first {start} windows of a machine are taken as healthy, whatever they are.
- What comes slowly, over much more than {slow:.0f} windows, moves the level that departures are measured from. What
  changed while the machine stood still does so too.
- It says that something is different, not what, and no remaining life. No safety function may depend on it.
- On data without any trend or structure the limit may be crossed more often than the budget says: it was set on the
  machines above.

## How it was made

{versions}. torch and ONNX Runtime differ by at most {parity:.1e}. The same data, settings and versions give the same
file on one machine; no seed enters it.
"""


def write_anomaly_card(name: str, machine_class: str, model: Model) -> str:
    """Return the card as Markdown with a Hugging Face style header; the same model gives the same text."""
    e, view = model.evaluation, model.lineage.configuration["view"]
    rows = [(n, cells) for n, cells in e.items() if isinstance(cells, dict) and "ours" in cells]
    measures = "".join(
        f"| {n} | {c['ours']} | {', '.join(f'{k} {v}' for k, v in c.items() if k != 'ours')} |\n" for n, c in rows
    )
    return _TEXT.format(
        dataset=model.lineage.dataset,
        name=name,
        machine_class=machine_class,
        warn=model.thresholds.warn,
        machines=len(model.lineage.machines),
        how=e["learned"],
        measures=measures,
        protocol=e["protocol"],
        start=view["start_windows"],
        slow=view["slow_windows"],
        versions=", ".join(f"{n} {v}" for n, v in sorted(model.lineage.versions.items())),
        parity=model.parity_max_abs,
    )
