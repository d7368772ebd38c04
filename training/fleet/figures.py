"""What a fleet's model is worth on machines that it did not see, beside a constant and a line in the age."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metrics import Array, covered, winkler
from training.model import Answered

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
    dated: NDArray[np.bool_]  # (k,) whether it shows a trend
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
    """Root mean squared error capped on both sides, interval score and coverage of the life as it is."""
    off = np.clip(said[:, 1], 0.0, cap_s) - np.minimum(truth_s, cap_s)
    low, high = said[:, 0], said[:, 2]
    return {
        "rmse": float(np.sqrt((off**2).mean())),
        "winkler": float(winkler(truth_s, low, high).mean()),
        "coverage": float(covered(truth_s, low, high).mean()),
    }


def _in_seconds(truth_s: Array, said: Array, cap_s: float) -> dict[str, float]:
    """The same by the names that every model's manifest has for them."""
    f = measures(truth_s, said, cap_s)
    return {
        "rul_rmse_s": round(f["rmse"], 1),
        "rul_winkler_s": round(f["winkler"], 1),
        "rul_coverage": round(f["coverage"], 3),
    }


def figures(
    judged: Sequence[Said], known: Sequence[Said], wider: float, cap_s: float
) -> tuple[dict[str, Any], tuple[Answered, ...]]:
    """By measure, ours beside the floors of the same folds; and what was said of each machine.

    `known` is what the final network says of machines that it learned from; widened by `wider` it is what a split by
    window would show. The figures count what is said of a machine without a trend, too; `where_dated` has the others'.
    """
    answered = _beside_floors(judged, cap_s)
    truth = np.concatenate([s.truth_s for s, _ in answered])
    said = {who: np.concatenate([by_who[who] for _, by_who in answered]) for who in answered[0][1]}
    by_who = {who: _in_seconds(truth, q, cap_s) for who, q in said.items()}
    leaking = _in_seconds(
        np.concatenate([s.truth_s for s in known]), np.concatenate([_shown(s, wider, cap_s) for s in known]), cap_s
    )
    dated = np.concatenate([s.dated for s, _ in answered])
    answers = tuple(Answered(s.machine, s.truth_s, q["ours"]) for s, q in answered)
    return {
        "protocol": "each machine by a member that did not see it, at random cuts, with a trend or without; "
        "floors and widening of other folds",
        "split": "machine",
        "machines": len({s.machine for s in judged}),
        "cap_s": cap_s,
        **{measure: {who: f[measure] for who, f in by_who.items()} for measure in by_who["ours"]},
        "rul_nulls": round(float(1.0 - dated.mean()), 3),
        "where_dated": _in_seconds(truth[dated], said["ours"][dated], cap_s) if dated.any() else {},
        "leaking_split": {"split": "window"} | leaking,
        **_by_machine(answered, cap_s),
    }, answers


def _beside_floors(judged: Sequence[Said], cap_s: float) -> list[tuple[Said, dict[str, Array]]]:
    """What we and each floor say of each life (k, 3), with widening and floors of the other folds."""
    found = []
    for fold in sorted({s.fold for s in judged}):
        rest = [s for s in judged if s.fold != fold]
        age, truth = np.concatenate([s.age_s for s in rest]), np.concatenate([s.truth_s for s in rest])
        wider, always, line = widening(rest, cap_s), constant(age, truth, cap_s), line_in_age(age, truth, cap_s)
        found += [
            (s, {"ours": _shown(s, wider, cap_s), "constant": always(s.age_s), "line_in_age": line(s.age_s)})
            for s in judged
            if s.fold == fold
        ]
    return found


def _shown(said: Said, wider: float, cap_s: float) -> Array:
    """The answers as the bundle's graph gives them: widened, the median between 0 and the cap, the ends around it."""
    median = np.clip(said.rul_s[:, 1], 0.0, cap_s)
    low = np.minimum(np.maximum(said.rul_s[:, 0] - wider, 0.0), median)
    return np.stack([low, median, np.maximum(said.rul_s[:, 2] + wider, median)], axis=1)


def _by_machine(answered: Sequence[tuple[Said, dict[str, Array]]], cap_s: float) -> dict[str, Any]:
    """Each machine's own figures, and how many of the machines lie inside at all of their cuts."""
    lines, inside = [], 0
    for machine in sorted({s.machine for s, _ in answered}):
        own = [(s.truth_s, q["ours"]) for s, q in answered if s.machine == machine]
        truth, said = (np.concatenate(part) for part in zip(*own, strict=True))
        lines.append({"machine": machine} | _in_seconds(truth, said, cap_s))
        inside += bool(covered(truth, said[:, 0], said[:, 2]).all())
    return {"machines_covered": [inside, len(lines)], "by_machine": lines}
