"""The card of a fleet's model: what it learned from, how good it is beside its floors, where it must not be used."""

from __future__ import annotations

from training.dataset import Dataset
from training.model import Model

_CARD = """---
language: en
license: other
license_name: as-the-recordings-it-learned-from
library_name: onnx
pipeline_tag: other
tags:
- predictive-maintenance
- remaining-useful-life
---
# {name}

{origin}Where the slow channels of one machine of the class `{machine_class}` have been -> degradation (0 as new,
1 failed) and remaining life in seconds of event time (p05, p50, p95).
It learned from {windows} windows of {machines} machines that failed, by way of {made_up} made-up machines that wear as
these did, each by itself along a curve that grows by a share of itself.
Degradation is the share that is gone of the last {cap_h:g} hours; p50 never says more than these.

## Figures, beside their floors

Protocol: {protocol}. Hours; RMSE is capped at {cap_h:g} hours on both sides.

| | this model | constant | line in the age |
| --- | --- | --- | --- |
| RMSE, h | {rmse} |
| interval score p05..p95, h | {winkler} |
| coverage of p05..p95 | {coverage} |

## Limits of use

- It was made for machines that have the channels below, that are of one design and that wear in the ways of those that
  it learned from. It knows no regimes of speed or load.
- A machine's age and its start count from its first window: one that was not new then is judged wrongly.
- The intervals are for {promise}.
- It adds to each machine's own baseline alarm and never replaces it. No safety function may depend on it.

Channels: {channels}.

## How it was made

Seed {seed}, {versions}. torch and ONNX Runtime differ by at most {parity:.1e}. The same data, configuration, seed and
versions give the same file on one machine.
"""


def write_card(name: str, machine_class: str, dataset: Dataset, model: Model, *, simulated: bool) -> str:
    """Return the card as Markdown with a Hugging Face style header; the same model gives the same text."""
    e = model.evaluation

    def row(measure: str, unit: float, form: str) -> str:
        return " | ".join(form.format(e[measure][who] / unit) for who in ("ours", "constant", "line_in_age"))

    return _CARD.format(
        name=name,
        machine_class=machine_class,
        origin="**Simulated**: it learned from simulated machines, not from real ones.\n\n" if simulated else "",
        windows=sum(len(life.age_s) for life in dataset.lives),
        machines=len(dataset.machines),
        made_up=model.lineage.configuration["made_up"],
        cap_h=e["cap_s"] / 3600.0,
        protocol=e["protocol"],
        rmse=row("rmse", 3600.0, "{:.2f}"),
        winkler=row("winkler", 3600.0, "{:.1f}"),
        coverage=row("coverage", 1.0, "{:.0%}"),
        promise=model.coverage,
        channels=", ".join(model.lineage.configuration["view"]["channels"]),
        seed=model.lineage.seed,
        versions=", ".join(f"{n} {v}" for n, v in sorted(model.lineage.versions.items())),
        parity=model.parity_max_abs,
    )
