"""Diagnosis of bearings by physics: public test rigs through the edge's own code, one setting for all of them.

Each record is a machine: its windows of 8192 samples go through the agent's memory of recent samples, and the verdict
is taken once at the record's end. Nothing is learned. Beside it stand three floors: the largest envelope line of the
ordinary features (it always answers), the same only for records with a kurtosis above 4, and the answer `outer` to all.

Loads of one bearing and its speeds are records of the same damage: 40 faulty records of CWRU are 10 bearings.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.readme import markdown, put
from edge.detection.bearing_part import Verdict, diagnose
from edge.features import Extractor
from edge.features.recent import Recent
from edge.sensors.recording import Recording
from edge.sensors.replay import find_recordings
from edge.types import FeatureRow, Machine, Window

RIGS = ("cwru", "hit_sm", "mfpt")
_PART = {"outer_race": "outer", "inner_race": "inner", "ball": "ball", None: "abstain"}
_LINES = {"envelope_bpfo@1": "outer", "envelope_bpfi@1": "inner", "envelope_bsf@1": "ball"}
_OUTCOMES = ("right", "wrong", "abstained", "healthy accused", "healthy left alone")
_IMPULSIVE = 4.0  # a Gaussian signal has a kurtosis of 3


def folder() -> Path:
    """Where the public recordings lie: FOREWARN_DATA_DIR, or ../shared/data beside the repository."""
    return Path(os.environ.get("FOREWARN_DATA_DIR", Path(__file__).resolve().parents[2] / "shared" / "data"))


def truth(name: str) -> tuple[str, str]:
    """The part that is damaged and how far, from a name such as `OR-6_021_3`, `IR5_900`, `InnerRaceFault_vload_1`."""
    upper = name.upper()
    for start, part in (("OR", "outer"), ("OUT", "outer"), ("IR", "inner"), ("INN", "inner"), ("B_", "ball")):
        if upper.startswith(start):
            return part, _size(name)
    return "normal", "-"


def _size(name: str) -> str:
    fields = name.split(" ", maxsplit=1)[0].split("_")
    if len(fields) == 3 and fields[1].isdigit():
        return f"0.{fields[1]} inch"
    return f"{fields[0][2:]} deg" if fields[0][2:].isdigit() else "-"


def listen(recording: Recording) -> tuple[Verdict, list[FeatureRow], float]:
    """A record's verdict, the features of its windows, and the seconds that the verdict took."""
    machine = recording.machine
    assert machine.speed_rpm is not None
    assert machine.bearing is not None
    recent, extractor, rows = Recent(machine), Extractor(machine), []
    for reading in recording.read():
        window = Window(machine=machine.name, time_ns=reading.offset_ns, samples=reading.samples)
        recent.add(window, machine.speed_rpm)
        rows += extractor.extract(window)
    began = time.perf_counter()
    verdict = diagnose(recent.stretches(), machine.bearing, machine.speed_rpm)
    return verdict, rows, time.perf_counter() - began


def by_features(rows: list[FeatureRow]) -> tuple[str, float]:
    """The floors' answer: the part with the largest envelope line on average, and the mean kurtosis."""
    logs: dict[str, list[float]] = {}
    kurtosis = []
    for row in rows:
        figures = dict(zip(row.schema.columns, row.values.tolist(), strict=True))
        kurtosis.append(figures["kurtosis@1"])
        for line, part in _LINES.items():
            if line in figures:
                logs.setdefault(part, []).append(float(np.log(max(figures[line], 1e-12))))
    best = max(logs, key=lambda part: float(np.mean(logs[part])), default="abstain")
    return best, float(np.mean(kurtosis))


def measure() -> dict[str, Any]:
    """All figures of this part, by name; `skipped` with the reason where there are no recordings."""
    rigs = [r for r in RIGS if (folder() / r).is_dir()]
    if not rigs:
        return {"skipped": f"no recordings in {folder()}; FOREWARN_DATA_DIR names another folder"}
    records = []
    for rig in rigs:
        for found in find_recordings([folder() / rig]):
            if not isinstance(found, Recording):
                raise found
            if found.machine.bearing is not None and found.machine.speed_rpm:
                records.append(_record(rig, found, found.machine))
    return {
        "groups": _groups(records),
        "rigs": {rig: _score([r for r in records if r["rig"] == rig]) for rig in rigs},
        "all": _score(records),
        "milliseconds_a_diagnosis": float(np.median([r.pop("seconds") for r in records])) * 1e3,
        "records": records,
    }


def _record(rig: str, recording: Recording, machine: Machine) -> dict[str, Any]:
    part, size = truth(machine.name)
    verdict, rows, seconds = listen(recording)
    line, kurtosis = by_features(rows)
    return {
        "rig": rig,
        "record": machine.name,
        "fault": part,
        "size": size,
        "said": _PART[verdict.fault],
        "confidence": verdict.confidence,
        "reason": verdict.reason,
        "prominence": {f.line: round(f.prominence, 3) for f in verdict.lines},
        "floors": {
            "largest_line": line,
            "largest_line_if_impulsive": line if kurtosis > _IMPULSIVE else "abstain",
            "always_outer": "outer",
        },
        "seconds": seconds,
    }


def _outcome(fault: str, said: str) -> str:
    if fault == "normal":
        return "healthy left alone" if said == "abstain" else "healthy accused"
    return "abstained" if said == "abstain" else "right" if said == fault else "wrong"


def _groups(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str], Counter[str]] = {}
    for r in records:
        groups.setdefault((r["rig"], r["size"], r["fault"]), Counter())[_outcome(r["fault"], r["said"])] += 1
    return [{"rig": g[0], "size": g[1], "fault": g[2], **counts} for g, counts in sorted(groups.items())]


def _score(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Outcomes and macro-F1 over the faults that occur (an abstention is a miss), and the same of each floor."""
    answers = {"physics": [r["said"] for r in records]}
    answers |= {name: [r["floors"][name] for r in records] for name in records[0]["floors"]}
    faults = [r["fault"] for r in records]
    return {name: _counts(faults, said) for name, said in answers.items()}


def _counts(faults: list[str], said: list[str]) -> dict[str, Any]:
    pairs = list(zip(faults, said, strict=True))
    counts = Counter(_outcome(f, s) for f, s in pairs)
    shown = {k: counts[k] for k in _OUTCOMES}
    return {**shown, "macro_f1": float(np.mean([_f1(pairs, c) for c in sorted(set(faults))]))}


def _f1(pairs: list[tuple[str, str]], name: str) -> float:
    """F1 of one class; a record that is left alone counts as called normal only where it is normal."""
    told = [(f, "normal" if s == "abstain" and f == "normal" else s) for f, s in pairs]
    hits = sum(f == s == name for f, s in told)
    return 2 * hits / max(sum(f == name for f, _ in told) + sum(s == name for _, s in told), 1)


def pictures(found: dict[str, Any], results: Path) -> None:
    """Put the table by rig, size and fault between its markers in the README beside the results."""
    if "skipped" in found:
        return
    lines = [
        [str(g[k]) for k in ("rig", "size", "fault")] + [str(g.get(k, 0)) for k in _OUTCOMES] for g in found["groups"]
    ]
    for name, s in found["all"].items():
        lines.append(["all", "", name, *(str(s[k]) for k in _OUTCOMES)])
    put(results.parent / "README.md", "diagnosis", markdown(["rig", "size", "fault", *_OUTCOMES], lines))


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The table of this part."""
    if "skipped" in found:
        return [("skipped", found["skipped"])]
    table = [
        (
            f"{g['rig']} {g['size']} {g['fault']}",
            ", ".join(f"{g[k]} {k}" for k in g if k not in {"rig", "size", "fault"}),
        )
        for g in found["groups"]
    ]
    for rig, score in {**found["rigs"], "all": found["all"]}.items():
        for name, s in score.items():
            told = f"{s['right']} right, {s['wrong']} wrong, {s['abstained']} abstained"
            table.append(
                (f"{rig}: {name}", f"{told}, {s['healthy accused']} healthy accused, macro-F1 {s['macro_f1']:.2f}")
            )
    return [*table, ("ms a diagnosis", f"{found['milliseconds_a_diagnosis']:.0f}")]
