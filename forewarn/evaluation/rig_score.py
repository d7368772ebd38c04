"""Scores what was said about a rig's records, beside floors that listen to the same recordings.

A record's verdict is the class that most of its windows name. The first windows are too short for a slow shaft, so
those that abstain do not vote; where all do, the record is a miss. Beside it: the stricter count in which they vote.
The figure is macro-F1 over the classes that occur, and how many healthy records were said to have a damaged part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.sensors.recording import Recording
from edge.sensors.replay import find_recordings
from edge.types import FeatureRow
from forewarn.evaluation.files import read_lines
from forewarn.evaluation.rig_truth import SHORT, truths
from forewarn.whatif import listen
from models.errors import RecordingRejected, WrongUse

NORMAL, ABSTAIN = "normal", "abstain"
SAID = (*SHORT.values(), ABSTAIN)
_PARTS = tuple(s for s in SAID if s not in {NORMAL, ABSTAIN})
_LINES = {"envelope_bpfo@1": "outer", "envelope_bpfi@1": "inner", "envelope_bsf@1": "ball"}


def score(test_on: Path, file: Path) -> dict[str, Any]:
    """Return the figures over all records whose class is told, ours beside the floors'."""
    said = {
        key[0]: [str(line.get("fault")) for line in lines]
        for key, lines in read_lines(file, by=["record"], order="window").items()
    }
    if strange := sorted({w for words in said.values() for w in words} - set(SAID)):
        raise WrongUse(f"there is no fault {strange[0]!r}", where=str(file), mend=f"one of {', '.join(SAID)}")
    truth = {record: SHORT[fault] for record, fault in truths(test_on).items()}
    if not truth:
        raise WrongUse("no record's fault is told", where=str(test_on), mend="score against labelled records")
    told = {record: verdict(said.get(record, ())) for record in truth}
    strict = {record: verdict(said.get(record, ()), abstentions_vote=True) for record in truth}
    silent = sorted(r for r in truth if r not in said)
    return {
        "records": len(truth),
        "not_in_the_file": silent,
        "ours": figures(truth, told),
        "ours_if_abstentions_vote": figures(truth, strict),
        "floors": {name: figures(truth, floor) for name, floor in _floors(test_on, truth).items()},
        "by_record": {r: {"fault": truth[r], "said": told[r]} for r in sorted(truth)},
    }


def verdict(words: Sequence[str], *, abstentions_vote: bool = False) -> str:
    """What most windows name, the first named among equals; an abstention where none names anything."""
    votes = [w for w in words if w != ABSTAIN or abstentions_vote]
    return Counter(votes).most_common(1)[0][0] if votes else ABSTAIN


def figures(truth: Mapping[str, str], told: Mapping[str, str]) -> dict[str, Any]:
    """Macro-F1 over the classes that occur, and the outcomes by record."""
    pairs = [(truth[r], told.get(r, ABSTAIN)) for r in truth]
    faulty = [(t, s) for t, s in pairs if t != NORMAL]
    return {
        "macro_f1": round(float(np.mean([_f1(pairs, c) for c in sorted(set(truth.values()))])), 4),
        "right": sum(t == s for t, s in pairs),
        "wrong": sum(s not in {t, ABSTAIN, NORMAL} for t, s in faulty),
        "called_healthy": sum(s == NORMAL for _, s in faulty),
        "abstained": sum(s == ABSTAIN for _, s in pairs),
        "healthy": len(pairs) - len(faulty),
        "healthy_accused": sum(s in _PARTS for t, s in pairs if t == NORMAL),
    }


def _f1(pairs: Iterable[tuple[str, str]], name: str) -> float:
    hits = of = 0
    for truth, told in pairs:
        hits += truth == told == name
        of += (truth == name) + (told == name)
    return 2 * hits / of if of else 0.0


def _floors(test_on: Path, truth: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What simpler ways say of the same records: the largest line of the plain features, and `outer` to all."""
    largest: dict[str, str] = {}
    for recording in find_recordings([test_on]):
        if not isinstance(recording, RecordingRejected):
            said = largest_line(recording)
            largest |= dict.fromkeys(recording.called.values(), said)
    return {"largest_line": largest, "always_outer": dict.fromkeys(truth, "outer")}


def largest_line(recording: Recording) -> str:
    """The part whose envelope line is largest on average over windows and channels; it always answers."""
    rows: list[FeatureRow] = []
    try:
        for said in listen(recording):
            rows += said.rows
    except RecordingRejected:
        pass  # what was heard before the recording broke off counts
    logs: dict[str, list[float]] = {}
    for row in rows:
        for name, value in zip(row.schema.columns, row.values.tolist(), strict=True):
            if name in _LINES:
                logs.setdefault(_LINES[name], []).append(float(np.log(max(value, 1e-12))))
    return max(logs, key=lambda part: float(np.mean(logs[part])), default=ABSTAIN)


def describe(result: Mapping[str, Any]) -> Sequence[str]:
    """Return a result in lines for people."""
    shown = [f"{result['records']} records, {len(result['not_in_the_file'])} of them without a line"]
    ours = {name: result[name] for name in ("ours", "ours_if_abstentions_vote")}
    for name, f in {**ours, **result["floors"]}.items():
        missed = f"{f['wrong']} wrong, {f['abstained']} abstained, {f['called_healthy']} called healthy"
        accused = f"{f['healthy_accused']} of {f['healthy']} healthy accused"
        shown.append(f"{name}: macro-F1 {f['macro_f1']:.3f}; {f['right']} right, {missed}; {accused}")
    return shown
