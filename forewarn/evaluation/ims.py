"""Bearings run to failure, heard as ready-made features (IMS): one line for each snapshot and bearing.

A bearing is a machine with the RMS of its acceleration as its slow channel; one with two sensors is in alarm when one
of them is. Other features of one-second snapshots are too wild for any budget (`training/LOG.md`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.sensors.recording import Recording
from forewarn.evaluation.benchmark import Line, Say
from forewarn.evaluation.files import read_lines, recordings
from forewarn.evaluation.slow import bundle_of, hear, held, levels, part_of, score_of
from models.departures import DeparturesConfig
from models.errors import DataInsufficient, WrongUse
from training.anomaly.config import AnomalyConfig
from training.anomaly.seen import Run

CLASS = "rolling_bearing"
START = 150  # snapshots: one day at 10 min
HEALTHY = 0.5  # share of a run to failure in which any alarm is false
TOO_EARLY_H = 80.0  # before the end; an alarm that came before is false
RMS_FACTOR, RMS_ROWS = 1.15, 3  # the floor: so far above the start's median, so many snapshots in a row
FAILED = {"1": ("3", "4"), "3": ("3",)}  # bearings with damage at the end, as the README beside the sets says
_CHANNEL = re.compile(r"Bearing(\d+)_ch(\d+)_rms")
_SET = re.compile(r"ims_set(\d+)")
_CONFIG = AnomalyConfig(view=DeparturesConfig(channels=("rms",), start_windows=START))


def evaluate(train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[Line]:
    """Set the limit on the first halves of the runs; rows are counted from 0."""
    unheard, runs = recordings(test_on, say), []
    for recording in recordings(train_on, say):
        for parts in bearings(recording).values():
            for part in parts:
                heard = levels(part)
                healthy = np.arange(len(heard)) < HEALTHY * len(heard)
                runs.append(Run(part.name, heard, healthy))
    if not runs:
        raise DataInsufficient("no bearing's RMS", where=str(train_on), mend="columns are called Bearing1_ch1_rms")
    bundle = bundle_of(runs, _CONFIG, CLASS, seed=seed, say=say)
    for recording in unheard:
        if not (found := bearings(recording)):
            say(f"nothing will be said of {recording.path.stem}: it has no column like Bearing1_ch1_rms")
        for bearing, parts in found.items():
            key = {"set": set_of(recording), "bearing": int(bearing)}
            for both in zip(*(hear(part, bundle, say) for part in parts), strict=False):
                worst = max(score_of(said) for said in both)
                alarm = any(said.alarm for said in both)
                yield {**key, "row": both[0].window - 1, "score": worst, "alarm": alarm}


def bearings(recording: Recording) -> dict[str, list[Recording]]:
    """The recordings of each bearing, one a sensor."""
    found: dict[str, list[Recording]] = {}
    for channel in recording.machine.channels:
        if match := _CHANNEL.fullmatch(channel.name):
            bearing, sensor = match.groups()
            name = f"{recording.name}-bearing{bearing}-ch{sensor}"
            found.setdefault(bearing, []).append(part_of(recording, name, {"rms": channel.name}))
    return found


def set_of(recording: Recording) -> str:
    """The number in a file's name, or the name where it has none."""
    match = _SET.fullmatch(recording.path.stem)
    return match.group(1) if match else recording.path.stem


def score(test_on: Path, file: Path) -> dict[str, Any]:
    """Return by set what `judge` finds, ours beside an RMS rule's.

    Raises `WrongUse` when nothing is said about a set.
    """
    said = read_lines(file, by=["set", "bearing"], order="row")
    sets: dict[str, Any] = {}
    for recording in recordings(test_on, lambda _: None):
        name, parts = set_of(recording), bearings(recording)
        if not parts:
            continue
        if missing := [b for b in parts if (name, b) not in said]:
            raise WrongUse(f"nothing is said about bearing {missing[0]} of set {name}", where=str(file))
        times = np.array([r.offset_ns for r in recording.read()]) * 1e-9 / 3600.0
        left = times[-1] - times
        ours = {b: [int(line["row"]) for line in said[name, b] if line["alarm"]] for b in parts}
        rule = {b: sorted({row for part in found for row in rms_rule(part)}) for b, found in parts.items()}
        sets[name] = {
            "ours": judge(ours, left, FAILED.get(name, ())),
            "rms_rule": judge(rule, left, FAILED.get(name, ())),
        }
    if not sets:
        raise WrongUse("no set of bearings", where=str(test_on), mend="columns are called Bearing1_ch1_rms")
    return {"sets": sets}


def rms_rule(part: Recording) -> list[int]:
    """Rows in which the RMS was above the limit in the last rows: the floor."""
    rms = held(part, ["rms"])[:, 0]
    above = rms > RMS_FACTOR * np.median(rms[:START])
    above[:START] = False
    return [i for i in range(RMS_ROWS - 1, len(rms)) if above[i - RMS_ROWS + 1 : i + 1].all()]


def judge(alarms: Mapping[str, Sequence[int]], left_h: Any, failed: Sequence[str]) -> dict[str, Any]:
    """Hours left at each bearing's first alarm: `lead_h` of the failed ones, and which of them all were false.

    False is what came more than 80 h before the end, and on a sound bearing what came before the first right one;
    what came `after_h` it is named, since a machine that breaks shakes its neighbours. Where nobody knows what failed,
    nothing is right or false.
    """
    first = {b: round(float(left_h[rows[0]]), 2) for b, rows in alarms.items() if rows}
    lead = {b: first.get(b) for b in failed if b in alarms}
    right = max((h for h in lead.values() if h is not None and h <= TOO_EARLY_H), default=0.0)
    false = {b: h for b, h in first.items() if lead and h > (TOO_EARLY_H if b in lead else right)}
    after = {b: h for b, h in first.items() if b not in lead and b not in false}
    return {"lead_h": lead, "false_h": false, "after_h": after}


def describe(result: Mapping[str, Any]) -> Sequence[str]:
    """Two lines a set; hours are before its end."""
    return [
        f"set {name} {who:<9} {in_words(found)}" for name, both in result["sets"].items() for who, found in both.items()
    ]


def in_words(found: Mapping[str, Any]) -> str:
    """What `judge` found, for people; hours are before the end."""
    lead, false, after = (found[kind] for kind in ("lead_h", "false_h", "after_h"))
    if not lead:
        return f"which bearing failed is not known; first alarms: {_named(after)}"
    said = []
    for b, h in lead.items():
        verdict = f", over {TOO_EARLY_H:.0f}: false" if b in false else ""
        said.append(f"bearing {b} missed" if h is None else f"bearing {b} {h:.1f} h{verdict}")
    said.append(f"false before: {_named({b: h for b, h in false.items() if b not in lead})}")
    return "; ".join([*said, f"afterwards: {_named(after)}"] if after else said)


def _named(hours: Mapping[str, float]) -> str:
    return ", ".join(f"bearing {b} {h:.1f} h" for b, h in hours.items()) or "none"
