"""Physics and model together: the one place that decides what is said to be broken.

Physics speaks first and is never overruled. A model adds: it may name a part where physics is silent, or say that all
is well. Without a word from either nothing is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.detection.bearing_part import FAULT_OF_LINE, Verdict

NORMAL = "normal"
CLASSES = (NORMAL, *FAULT_OF_LINE.values())
_LIKELY = 0.5  # a class of a model is told when it is likelier than all others together
_SHARE = {"sure": 0.95, "quite_sure": 0.8}  # of a part that physics names, in the scores


@dataclass(frozen=True, slots=True)
class Told:
    """What is wrong with a bearing; `fault` None is an abstention."""

    fault: str | None  # one of CLASSES
    scores: Mapping[str, float]  # by class, together 1
    by_model: bool = False

    @property
    def part(self) -> str | None:
        """The part that is said to be broken, if one is."""
        return None if self.fault == NORMAL else self.fault


def weigh(verdict: Verdict, model: Mapping[str, float]) -> Told:
    """What the verdict of the lines and the probabilities of a model's classes (none: {}) lead to."""
    even = dict.fromkeys(CLASSES, 1.0 / len(CLASSES))
    believed = {c: model.get(c, 0.0) for c in CLASSES} if model else even
    if verdict.fault is not None:
        share = _SHARE[verdict.confidence]
        return Told(verdict.fault, {c: share * (c == verdict.fault) + (1.0 - share) * p for c, p in believed.items()})
    likeliest = max(believed, key=lambda c: believed[c])
    if believed[likeliest] > _LIKELY:
        return Told(likeliest, believed, by_model=True)
    if verdict.quiet:
        return Told(NORMAL, {c: 0.5 * (c == NORMAL) + 0.5 * p for c, p in believed.items()})
    return Told(None, believed)
