"""Scores what was said about PRONOSTIA's bearings, by the truth that the test recordings hold: their ends.

`null` earns nothing: it is scored as the floor's answer, and the share of nulls is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.sensors.replay import find_recordings
from forewarn.evaluation.files import read_lines
from models.errors import RecordingRejected, WrongUse
from training.metrics import covered, null_answer, winkler

Array = NDArray[np.float64]
CUTS = (0.5, 0.6, 0.7, 0.8, 0.9)  # shares of life
EARLY, LATE = 0.6, 0.9  # a first alarm before the one is too early, after the other too late


def phm_2012(actual_s: Array, predicted_s: Array) -> Array:
    """Accuracy of the PHM 2012 challenge, 1 for exact: late predictions cost four times as much as early ones.

    Er = 100 (actual - predicted) / actual; A = exp(-ln(0.5) Er / 5) for Er <= 0, exp(ln(0.5) Er / 20) above.
    """
    error = 100.0 * (actual_s - predicted_s) / np.maximum(actual_s, 1e-9)  # at the very end only 0 is right
    accuracy: Array = np.exp(np.where(error <= 0, -np.log(0.5) * error / 5.0, np.log(0.5) * error / 20.0))
    return accuracy


def score(test_on: Path, file: Path) -> dict[str, Any]:
    """Return the figures over all bearings and by bearing, ours beside the floor 0.3 x age (0.1 to 1.0)."""
    said = {key[0]: lines for key, lines in read_lines(file, by=["bearing"], order="snapshot").items()}
    found = [r for r in find_recordings([test_on]) if not isinstance(r, RecordingRejected)]
    missing = [r.name for r in found if r.name not in said]
    if missing or not found:
        raise WrongUse(f"nothing is said about {', '.join(missing) or 'any recording'}", where=str(file))
    bearings = {r.name: _bearing(said[r.name], r.count, r.every_s or 1.0) for r in found}
    return {"all": _together(list(bearings.values())), "by_bearing": bearings}


def _bearing(lines: Sequence[Mapping[str, Any]], count: int, every_s: float) -> dict[str, Any]:
    """Return one bearing's figures; snapshots count from 1, the last one is the end of life."""
    at = [min(max(round(cut * count), 1), len(lines)) for cut in CUTS]
    age = np.array([(n - 1) * every_s for n in at])
    truth = np.array([(count - n) * every_s for n in at])
    floor = null_answer(age)
    nulls = np.array([lines[n - 1]["rul_s"] is None for n in at])
    ours = floor.copy()
    for k, n in enumerate(at):
        estimate = lines[n - 1]["rul_s"]
        if estimate is not None:
            ours[k] = [estimate[q] for q in ("p05", "p50", "p95")]
    first = next((line["snapshot"] / count for line in lines if line["alarm"]), None)
    return {
        "ours": _figures(truth, ours),
        "floor": _figures(truth, floor),
        "nulls": round(float(nulls.mean()), 3),
        "first_alarm_share": None if first is None else round(first, 3),
    }


def _figures(truth: Array, q: Array) -> dict[str, float]:
    return {
        "mae_s": round(float(np.abs(q[:, 1] - truth).mean()), 1),
        "winkler_s": round(float(winkler(truth, q[:, 0], q[:, 2]).mean()), 1),
        "coverage": round(float(covered(truth, q[:, 0], q[:, 2]).mean()), 3),
        "phm_2012": round(float(phm_2012(truth, q[:, 1]).mean()), 3),
    }


def _together(bearings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def mean(who: str) -> dict[str, float]:
        return {k: round(float(np.mean([b[who][k] for b in bearings])), 3) for k in bearings[0][who]}

    first = [b["first_alarm_share"] for b in bearings]
    alarms = {
        "in_time": sum(f is not None and EARLY <= f <= LATE for f in first),
        "early": sum(f is not None and f < EARLY for f in first),
        "late": sum(f is not None and f > LATE for f in first),
        "missed": sum(f is None for f in first),
    }
    nulls = round(float(np.mean([b["nulls"] for b in bearings])), 3)
    return {"bearings": len(bearings), "ours": mean("ours"), "floor": mean("floor"), "nulls": nulls, "alarms": alarms}


def describe(result: Mapping[str, Any]) -> list[str]:
    """Return the figures over all bearings, a line each."""
    everything = result["all"]
    lines = [f"{'':<12}{'MAE s':>10}{'interval s':>12}{'coverage':>10}{'PHM 2012':>10}"]
    for who in ("ours", "floor"):
        f = everything[who]
        lines.append(f"{who:<12}{f['mae_s']:>10.0f}{f['winkler_s']:>12.0f}{f['coverage']:>10.2f}{f['phm_2012']:>10.3f}")
    alarms = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in everything["alarms"].items())
    lines.append(f"first alarms of {everything['bearings']} bearings: {alarms}")
    lines.append(f"no estimate at {everything['nulls']:.0%} of the cuts; the floor is 0.3 x age, from 0.1 to 1.0")
    return lines
