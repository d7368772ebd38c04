"""The rules of evidence, apart from signatures and databases: a model that was not judged fairly is not signed.

What training says of itself is in `Manifest.evaluation`:

* `split`: by what the evaluation kept learned and judged windows apart; only `machine` holds on machines never seen.
* `machines`: how many machines were judged, each by fits that did not see it.
* `classes`: windows by class. A model that names a time or a fault has learned from at least two; one that only knows
  its healthy self has none to tell apart.
* Each measure is a mapping with `ours`, and beside it at least one floor of the same run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from models.errors import BundleRejected
from models.manifest import FAULT, RUL, Manifest

MACHINE = "machine"
FEWEST_MACHINES = 3  # with two, each is judged by a fit of one machine
OURS = "ours"


def admit(manifest: Manifest) -> None:
    """Raise `BundleRejected`, naming everything that is wrong with a model's evaluation."""
    reasons = list(refusals(manifest))
    if reasons:
        raise BundleRejected(
            "its evaluation proves nothing: " + "; ".join(reasons),
            where=manifest.name,
            mend="judge it on machines that it did not learn from, beside a floor: forewarn train",
        )


def refusals(manifest: Manifest) -> Iterator[str]:
    """Return one sentence for each rule that the evaluation breaks."""
    evaluation = manifest.evaluation
    yield from _split(evaluation)
    yield from _machines(manifest)
    if {RUL, FAULT} & set(manifest.outputs):
        yield from _classes(evaluation)
    yield from _floors(evaluation)


def _split(evaluation: Mapping[str, Any]) -> Iterator[str]:
    split = evaluation.get("split")
    if split is None:
        yield "it does not say by what it was split"
    elif split != MACHINE:
        yield f"it was split by {split}, so what it was judged on is like what it learned from"


def _machines(manifest: Manifest) -> Iterator[str]:
    judged = manifest.evaluation.get("machines")
    machines = min(judged if isinstance(judged, int) else 0, len(set(manifest.lineage.machines)))
    if machines < FEWEST_MACHINES:
        yield f"{machines} machines were judged, at least {FEWEST_MACHINES} are needed"


def _classes(evaluation: Mapping[str, Any]) -> Iterator[str]:
    classes = evaluation.get("classes")
    held = [name for name, windows in classes.items() if windows] if isinstance(classes, Mapping) else []
    if len(held) < 2:
        yield f"it has seen one class only: {held[0]}" if held else "it does not say which classes it has seen"


def _floors(evaluation: Mapping[str, Any]) -> Iterator[str]:
    measures = {n: cells for n, cells in evaluation.items() if isinstance(cells, Mapping) and OURS in cells}
    if not measures:
        yield "it has no measure"
    for name, cells in measures.items():
        if not any(_finite(value) for floor, value in cells.items() if floor != OURS):
            yield f"{name} stands without a floor"


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
