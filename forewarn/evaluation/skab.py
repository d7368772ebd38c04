"""A pump with eight slow channels (SKAB): one line for each row of each file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.sensors.recording import Recording
from forewarn.evaluation.benchmark import Line, Say
from forewarn.evaluation.files import read_lines, recordings
from forewarn.evaluation.slow import bundle_of, column, hear, held, levels, score_of
from models.departures import DeparturesConfig
from models.errors import DataInsufficient, WrongUse
from training.anomaly.config import AnomalyConfig
from training.anomaly.seen import Run

CLASS = "pump"
START = 400  # rows of each file that are its healthy start
FAST = 8.0  # rows
PAUSE = 600.0  # rows: some seconds are missing in every file, and a pump does not cool within minutes
MARK = "anomaly"
Mask = NDArray[np.bool_]


def evaluate(train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[Line]:
    """Learn from files with marks; rows are counted from 0, those of the healthy start have the score 0."""
    unheard, runs = recordings(test_on, say), []
    for recording in recordings(train_on, say):
        marks = column(recording.path, MARK)
        if marks is None:
            say(f"not learned from: {recording.name} has no marks")
            continue
        runs.append(Run(recording.name, levels(recording), marks == 0, marks != 0))
    if not runs:
        raise DataInsufficient("no file has marks", where=str(train_on), mend="give files with a column `anomaly`")
    channels = tuple(sorted(set.intersection(*({n for _, at in run.windows for n in at} for run in runs))))
    view = DeparturesConfig(channels=channels, start_windows=START, fast_windows=FAST, pause_steps=PAUSE)
    config = AnomalyConfig(view=view, learn_marks=True)
    bundle = bundle_of(runs, config, CLASS, seed=seed, say=say)
    for recording in unheard:
        for said in hear(recording, bundle, say):
            yield {"file": recording.path.stem, "row": said.window - 1, "score": score_of(said), "alarm": said.alarm}


def score(test_on: Path, file: Path) -> dict[str, Any]:
    """Return F1, FAR and MAR in percent over the rows after each healthy start, ours beside two floors.

    Raises `WrongUse` when nothing is said about a file with marks.
    """
    said = {key[0]: lines for key, lines in read_lines(file, by=["file"], order="row").items()}
    marked = [r for r in recordings(test_on, lambda _: None) if column(r.path, MARK) is not None]
    if missing := [r.path.stem for r in marked if r.path.stem not in said] or (
        [] if marked else ["any file with marks"]
    ):
        raise WrongUse(f"nothing is said about {', '.join(missing)}", where=str(file))
    files: dict[str, dict[str, Any]] = {}
    pooled: list[tuple[Mask, Mask, NDArray[np.float64]]] = []
    for recording in marked:
        marks = column(recording.path, MARK)
        assert marks is not None
        alarm = np.zeros(len(marks), np.bool_)
        name = recording.path.stem
        alarm[[int(line["row"]) for line in said[name] if line["alarm"]]] = True
        truth, alarm = marks[START:] != 0, alarm[START:]
        files[name] = figures(truth, alarm)
        pooled.append((truth, alarm, hotelling(recording)))
    truth, alarm, t2 = (np.concatenate([p[i] for p in pooled]) for i in range(3))
    ours = figures(truth, alarm)
    limit = np.quantile(t2[~truth], 1.0 - ours["far"] / 100.0) if (~truth).any() else np.inf
    floors = {"t2_at_our_far": figures(truth, t2 > limit), "all_anomalous": figures(truth, np.ones_like(truth))}
    return {"all": {"ours": ours, **floors}, "files": files}


def figures(truth: Mask, alarm: Mask) -> dict[str, float]:
    """F1 = TP / (TP + (FN + FP) / 2); FAR = 100 FP / (FP + TN); MAR = 100 FN / (FN + TP); 0 where nothing divides."""
    tp, fp = int((truth & alarm).sum()), int((~truth & alarm).sum())
    fn, tn = int((truth & ~alarm).sum()), int((~truth & ~alarm).sum())
    return {
        "f1": round(tp / max(tp + (fn + fp) / 2, 0.5), 4),
        "far": round(100.0 * fp / max(fp + tn, 1), 2),
        "mar": round(100.0 * fn / max(fn + tp, 1), 2),
    }


def hotelling(recording: Recording) -> NDArray[np.float64]:
    """T2 of the rows after the healthy start, by its mean and covariance (Hotelling 1947); in hindsight, a floor."""
    names = [c.name for c in recording.machine.channels]
    x = held(recording, names)
    off = x[START:] - x[:START].mean(axis=0)
    inverse = np.linalg.pinv(np.atleast_2d(np.cov(x[:START].T)))
    t2: NDArray[np.float64] = np.einsum("ij,jk,ik->i", off, inverse, off)
    return t2


def describe(result: Mapping[str, Any]) -> Sequence[str]:
    """The pooled figures, then each file's."""
    lines = [f"{'':<16}{'F1':>8}{'FAR %':>8}{'MAR %':>8}"]
    for who, f in (*result["all"].items(), *result["files"].items()):
        lines.append(f"{who:<16}{f['f1']:>8.3f}{f['far']:>8.1f}{f['mar']:>8.1f}")
    lines.append("t2_at_our_far: its limit is set by the marks themselves, which flatters it")
    return lines
