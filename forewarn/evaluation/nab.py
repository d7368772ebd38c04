"""One temperature (NAB): one line for each row; an alarm is a row in which one is raised, as NAB counts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.detection.trigger import NORMAL, Limits, Trigger
from edge.sensors.recording import Recording
from edge.types import AlarmChange
from forewarn.evaluation.benchmark import Line, Say
from forewarn.evaluation.files import read_lines, recordings
from forewarn.evaluation.nab_score import Windows, nab_score
from forewarn.evaluation.slow import bundle_of, hear, levels, part_of, score_of
from models.departures import DeparturesConfig
from models.errors import RecordingRejected, WrongUse
from models.networks.departure import LIMIT
from training.anomaly.config import AnomalyConfig
from training.anomaly.seen import Run

CLASS = "thermometer"
START = 750  # rows at most; NAB's probation is 15 % of a file, at most 750
SHARE = 0.15
FLOOR_S = 47 * 3600.0  # an alarm every 47 h, whatever happens
FACTORS = (0.8, 1.0, 1.2)  # of the limit
_CONFIG = AnomalyConfig(
    view=DeparturesConfig(channels=("value",), start_windows=START, fast_windows=8.0),
    least_limit=2.5,  # eight windows in a row: what is random comes and goes
    raise_windows=8,
)


class Labels(msgspec.Struct):
    """What lies beside a file: instants and windows of its anomalies."""

    windows: list[tuple[str, str]]
    probationary_rows: int = START


def evaluate(train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[Line]:
    """Set the limit by the marked windows and by the rows outside of them; rows are counted from 0."""
    unheard, runs = list(_thermometers(test_on, say)), []
    for recording in _thermometers(train_on, say):
        times = times_ns(recording)
        faulty = np.zeros(len(times), np.bool_)
        for first, last in marked(recording, times) or []:
            faulty[first : last + 1] = True
        runs.append(Run(recording.name, levels(recording), ~faulty, faulty))
    bundle = bundle_of(runs, _CONFIG, CLASS, seed=seed, say=say)
    for recording in unheard:
        for said in hear(recording, bundle, say):
            raised = any(c.change is AlarmChange.RAISED and c.source for c in said.changes)
            yield {"file": recording.path.stem, "row": said.window - 1, "score": score_of(said), "alarm": raised}


def _thermometers(folder: Path, say: Say) -> Iterator[Recording]:
    """The recordings of one channel, which is the value, whatever it is called."""
    for recording in recordings(folder, say):
        names = [c.name for c in recording.machine.channels]
        if len(names) == 1:
            yield part_of(recording, recording.name, {"value": names[0]})
        else:
            say(f"not used: {recording.path.name} has {len(names)} columns of measurements, not one")


def times_ns(recording: Recording) -> NDArray[np.int64]:
    """(n,) event times of the rows."""
    return np.array([recording.start_ns + r.offset_ns for r in recording.read()], np.int64)


def marked(recording: Recording, times: NDArray[np.int64]) -> Windows | None:
    """First and last row of each marked window; None without the JSON file of labels beside it."""
    file = recording.path.with_suffix(".json")
    if not file.exists():
        return None
    try:
        labels = msgspec.json.decode(file.read_bytes(), type=Labels)
        edges = [[np.datetime64(t).astype("datetime64[ns]").astype(np.int64) for t in w] for w in labels.windows]
    except (msgspec.DecodeError, ValueError) as e:
        raise RecordingRejected(f"holds no labels of NAB: {e}", where=str(file), mend="copy it again") from e
    rows = [(int(np.searchsorted(times, a)), int(np.searchsorted(times, b, side="right")) - 1) for a, b in edges]
    return [(first, last) for first, last in rows if first <= last]


def score(test_on: Path, file: Path) -> dict[str, Any]:
    """Return NAB's standard score by file, beside an alarm every 47 h; and at 0.8 and 1.2 times the limit.

    Raises `WrongUse` when nothing is said about a file with labels.
    """
    said = {key[0]: lines for key, lines in read_lines(file, by=["file"], order="row").items()}
    files: dict[str, dict[str, Any]] = {}
    for recording in recordings(test_on, lambda _: None):
        times = times_ns(recording)
        windows = marked(recording, times)
        if windows is None:
            continue
        name = recording.path.stem
        if name not in said:
            raise WrongUse(f"nothing is said about {name}", where=str(file))
        files[name] = _file(said[name], times, windows)
    if not files:
        raise WrongUse("no file with labels", where=str(test_on), mend="put the JSON files of labels beside them")
    return {"files": files}


def _file(lines: Sequence[Line], times: NDArray[np.int64], windows: Windows) -> dict[str, Any]:
    probation = min(int(SHARE * len(times)), START)
    raised = [int(line["row"]) for line in lines if line["alarm"]]
    step = max(round(FLOOR_S / (float(np.median(np.diff(times))) * 1e-9)), 1)
    scores = [float(line["score"]) for line in lines]
    return {
        "ours": nab_score(raised, windows, probation),
        "every_47_h": nab_score(range(probation, len(times), step), windows, probation),
        "at_limit": {str(f): nab_score(raised_at(scores, LIMIT * f), windows, probation) for f in FACTORS},
    }


def raised_at(scores: Sequence[float], limit: float) -> list[int]:
    """Rows in which the device would raise an alarm with another limit."""
    limits = Limits(limit, 1.0, _CONFIG.clear_share, _CONFIG.raise_windows, _CONFIG.clear_windows)
    trigger, before, raised = Trigger(), NORMAL, []
    for row, value in enumerate(scores):
        level = trigger.update(value, limits)
        if before == NORMAL < level:
            raised.append(row)
        before = level
    return raised


def describe(result: Mapping[str, Any]) -> Sequence[str]:
    """One line a file and kind of alarm."""
    lines = [f"{'':<44}{'NAB':>8}{'windows':>9}{'outside':>9}"]
    for name, file in result["files"].items():
        kinds = {"ours": file["ours"], "every 47 h": file["every_47_h"]}
        kinds |= {f"at {f} of the limit": figures for f, figures in file["at_limit"].items()}
        for kind, f in kinds.items():
            found = f"{f['found']}/{f['windows']}"
            lines.append(f"{f'{name[:24]} {kind}':<44}{f['score']:>8.1f}{found:>9}{f['outside']:>9}")
    return lines
