"""Scores what was said about C-MAPSS's test units by RUL_FDnnn.txt: the true remaining cycles, a line a unit.

The floors are the best that a constant and a line in the age could have done on these very units, seen in hindsight:
nobody without a model can do better. No estimate earns the constant's answer, and the share is shown;
so is the share that shows no trend, whose lines say what other machines had that showed as little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.inference.judge import NO_TREND
from forewarn.evaluation.benchmark import Line
from forewarn.evaluation.cmapss_files import subsets
from forewarn.evaluation.files import read_lines
from models.errors import WrongUse
from training.fleet.figures import constant, line_in_age, measures
from training.metrics import Array

CAP = 125.0  # cycles, on both sides
_QUANTILES = ("p05", "p50", "p95")


def nasa(truth: Array, said: Array) -> float:
    """Sum of exp(-d/13) - 1 for d < 0 and exp(d/10) - 1 above, d = said - truth (Saxena et al. 2008)."""
    d = said - truth
    return float(np.where(d < 0, np.expm1(-d / 13.0), np.expm1(d / 10.0)).sum())


def score(test_on: Path, file: Path) -> dict[str, Any]:
    """Return the figures by sub-set, ours beside its floors; in cycles."""
    tables = subsets(test_on, "test")
    said = {key[0]: lines for key, lines in read_lines(file, by=["set"], order="unit").items()}
    if missing := [name for name in tables if name not in said]:
        raise WrongUse(f"nothing is said about {', '.join(missing)}", where=str(file))
    return {name: _subset(_truth(test_on, name), said[name], table.lengths()) for name, table in tables.items()}


def _truth(folder: Path, name: str) -> Array:
    path = folder / f"RUL_{name}.txt"
    try:
        return np.array(path.read_text().split(), np.float64)
    except (OSError, ValueError) as e:
        raise WrongUse(f"the true remaining lives cannot be read: {e}", where=str(path)) from e


def _subset(truth: Array, lines: Sequence[Line], lengths: Mapping[int, int]) -> dict[str, Any]:
    units = sorted(lengths)
    by_unit = {line["unit"]: line["rul_cycles"] for line in lines}
    if len(truth) != len(units) or set(by_unit) != set(units):
        raise WrongUse(f"{len(truth)} true lives and {len(by_unit)} lines for {len(units)} units")
    age = np.array([lengths[u] for u in units], np.float64)
    floors = {"constant": constant(age, truth, CAP)(age), "line in age": line_in_age(age, truth, CAP)(age)}
    nulls = np.array([by_unit[u] is None for u in units])
    ours = floors["constant"].copy()
    for row, unit in enumerate(units):
        if by_unit[unit] is not None:
            ours[row] = [by_unit[unit][q] for q in _QUANTILES]
    figures = {who: _figures(truth, q) for who, q in {"ours": ours, **floors}.items()}
    still = np.mean([line.get("reason") == NO_TREND for line in lines])
    return {"units": len(units), "nulls": round(float(nulls.mean()), 3), "no_trend": round(float(still), 3), **figures}


def _figures(truth: Array, q: Array) -> dict[str, float]:
    capped = np.minimum(truth, CAP)
    inside = (np.minimum(q[:, 0], CAP) <= capped) & (capped <= q[:, 2])
    found = measures(truth, q, CAP) | {"coverage_capped": float(inside.mean()), "nasa_s": nasa(truth, q[:, 1])}
    return {name: round(value, 3) for name, value in found.items()}


def describe(result: Mapping[str, Any]) -> list[str]:
    """Return the figures of each sub-set, a line for ours and for each floor."""
    lines = []
    for name, figures in result.items():
        lines.append(f"{name:<14}{'RMSE cycles':>12}{'interval':>10}{'coverage':>10}{'capped':>8}{'NASA S':>10}")
        for who in ("ours", "constant", "line in age"):
            f = figures[who]
            lines.append(
                f"{who:<14}{f['rmse']:>12.2f}{f['winkler']:>10.1f}{f['coverage']:>10.2f}{f['coverage_capped']:>8.2f}"
                f"{f['nasa_s']:>10.0f}"
            )
        lines.append(f"{figures['units']} units, no estimate for {figures['nulls']:.0%}; RMSE is capped at 125")
        lines.append(f"no trend shows on {figures['no_trend']:.0%}: a device gives these no date")
    return [*lines, "the floors are the best of their kind in hindsight, fitted to these very units"]
