"""What a fleet's model is worth on machines that it did not see, beside a constant and a line in the age."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.metrics import Array, covered, winkler

_COVERAGE = 0.9
_ENDS = (0.05, 0.95)
Floor = Callable[[Array], Array]  # age (k,) -> p05, p50, p95 (k, 3)


@dataclass(frozen=True, slots=True)
class Said:
    """The answers about one left-out life at k cuts."""

    machine: str
    fold: int
    age_s: Array  # (k,)
    truth_s: Array  # (k,)
    rul_s: Array  # (k, 3), not widened


def widening(judged: Sequence[Said], cap_s: float) -> float:
    """Seconds to add at both ends, so that 90 % of the cuts lie inside; below 0 where the ends were too far.

    Conformal quantile regression (Romano, Patterson & Candes 2019) with the score of a machine's cuts weighed alike.
    p05 is of the life up to the cap, p95 of the whole.
    """
    outside = [np.maximum(s.rul_s[:, 0] - np.minimum(s.truth_s, cap_s), s.truth_s - s.rul_s[:, 2]) for s in judged]
    rank = min(_COVERAGE * (1.0 + 1.0 / len(judged)), 1.0)
    return float(np.quantile(np.concatenate(outside), rank))


def constant(age_s: Array, truth_s: Array, cap_s: float) -> Floor:
    """The same life always: the mean up to the cap has the least squared error."""
    ends = np.quantile(truth_s, _ENDS)
    said = np.array([ends[0], np.minimum(truth_s, cap_s).mean(), ends[1]])
    return lambda age: np.tile(said, (len(age), 1))


def line_in_age(age_s: Array, truth_s: Array, cap_s: float) -> Floor:
    """A straight line through the lives up to the cap, its ends those of the residuals."""
    slope, offset = np.polyfit(age_s, np.minimum(truth_s, cap_s), 1)
    low, high = np.quantile(truth_s - (slope * age_s + offset), _ENDS)
    return lambda age: (slope * age + offset)[:, None] + np.array([low, 0.0, high])


def measures(truth_s: Array, said: Array, cap_s: float) -> dict[str, float]:
    """RMSE capped on both sides, interval score and coverage of the life as it is."""
    off = np.clip(said[:, 1], 0.0, cap_s) - np.minimum(truth_s, cap_s)
    low, high = said[:, 0], said[:, 2]
    return {
        "rmse": float(np.sqrt((off**2).mean())),
        "winkler": float(winkler(truth_s, low, high).mean()),
        "coverage": float(covered(truth_s, low, high).mean()),
    }


def figures(judged: Sequence[Said], wider: float, cap_s: float) -> dict[str, Any]:
    """By measure, ours beside the floors of the same folds; in seconds."""
    parts: dict[str, list[Array]] = {"truth": [], "ours": [], "constant": [], "line_in_age": []}
    for fold in sorted({s.fold for s in judged}):
        rest = [s for s in judged if s.fold != fold]
        age, truth = np.concatenate([s.age_s for s in rest]), np.concatenate([s.truth_s for s in rest])
        floors = {"constant": constant(age, truth, cap_s), "line_in_age": line_in_age(age, truth, cap_s)}
        for s in (s for s in judged if s.fold == fold):
            parts["truth"].append(s.truth_s)
            parts["ours"].append(s.rul_s + wider * np.array([-1.0, 0.0, 1.0]))
            for name, floor in floors.items():
                parts[name].append(floor(s.age_s))
    truth = np.concatenate(parts.pop("truth"))
    by_who = {who: measures(truth, np.concatenate(said), cap_s) for who, said in parts.items()}
    return {
        "protocol": "each machine by a member that did not see it, at random cuts; the widening was chosen on the same",
        "machines": len({s.machine for s in judged}),
        "cap_s": cap_s,
        **{m: {who: round(f[m], 3) for who, f in by_who.items()} for m in ("rmse", "winkler", "coverage")},
    }
