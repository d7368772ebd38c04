"""The card of a fleet's model: what it learned from, how good it is beside its floors, where it must not be used."""

from __future__ import annotations

from collections.abc import Mapping

from training import card_parts as parts
from training.dataset import Dataset
from training.model import Model

_TEXT = """# {name}

{origin}Where the slow channels of one machine of the class `{machine_class}` have been -> degradation (0 as new,
1 failed) and remaining life in seconds of event time (p05, p50, p95).
It learned from {windows} windows of {machines} machines that failed, by way of {made_up} made-up machines that wear as
these did, each by itself along a curve that grows by a share of itself.
Degradation is the share that is gone of the last {cap_h:g} hours; p50 never says more than these.

## Figures, beside their floors

Hours; the error (RMSE) is capped at {cap_h:g} hours on both sides.

{figures}
A machine that shows no trend gets no date: {nulls:.0%} of the cuts. The table counts there what the graph says of
machines that show as little.{dated}
All cuts of a machine lay between p05 and p95 for {covered} of the machines.

### Machine by machine

{by_machine}
## Limits of use

- It was made for machines that have the channels below, that are of one design and that wear in the ways of those that
  it learned from. It knows no regimes of speed or load.
- A machine's age and its start count from its first window: one that was not new then is judged wrongly.
- A trend is a movement from the machine's own start that white noise as strong as its fleet's would not make. A change
  of load or of the season looks like one, and a machine that is like none that it learned from gets a date then, too.
- The intervals are for {promise}.
- It adds to each machine's own baseline alarm and never replaces it. No safety function may depend on it.

Channels: {channels}.

"""


def write_card(name: str, machine_class: str, dataset: Dataset, model: Model, *, simulated: bool) -> str:
    """Return the card as Markdown with a Hugging Face style header; the same model gives the same text."""
    e, configuration = model.evaluation, model.lineage.configuration
    text = _TEXT.format(
        name=name,
        machine_class=machine_class,
        origin="**Simulated**: it learned from simulated machines, not from real ones.\n\n" if simulated else "",
        windows=sum(len(life.age_s) for life in dataset.lives),
        machines=len(dataset.machines),
        made_up=configuration["made_up"],
        cap_h=e["cap_s"] / 3600.0,
        figures=parts.figures(e),
        nulls=e["rul_nulls"],
        dated=_dated(e["where_dated"]),
        covered=parts.share(*e["machines_covered"]),
        by_machine=parts.table(e["by_machine"]),
        promise=model.coverage,
        channels=", ".join(configuration["view"]["channels"]),
    )
    head = parts.header(name, model, task="remaining-useful-life", tags=("slow-channels",), metrics=parts.metrics(e))
    return head + text + parts.made(model)


def _dated(figures: Mapping[str, float]) -> str:
    if not figures:
        return ""
    error_h, coverage = figures["rul_rmse_s"] / 3600.0, figures["rul_coverage"]
    return f" Where one shows, the error is {error_h:.3g} hours and the coverage {coverage:.0%}."
