"""What would this agent have said about this recording: the device's own parts, without store and network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edge import words
from edge.detection import Detector
from edge.detection.bearing_part import of_rows
from edge.detection.fault import Told, weigh
from edge.features import Extractor
from edge.inference import Judge, LoadedBundle
from edge.sensors.recording import Recording
from edge.types import SENSOR, Alarm, AlarmChange, Assessment, FeatureRow, Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the agent says after one window; nothing in it depends on a later window."""

    machine: str
    window: int  # from 1
    time_ns: int  # event time
    rows: list[FeatureRow]
    deviation: float  # robust z against the machine's own healthy start
    assessment: Assessment | None  # None: no model, or no channel that the model can judge
    told: Told  # what is broken, by the bearing's lines and the model
    alarm: bool  # the machine's alarm stands
    changes: list[Alarm]


def listen(recording: Recording, bundle: LoadedBundle | None = None) -> Iterator[Said]:
    """Replay a recording through features, model and detection, as fast as possible.

    Raises `RecordingRejected` when the recording turns out to be unusable.
    """
    machine = recording.machine
    extractor, judge, detector = Extractor(machine), Judge(machine, bundle), Detector(machine)
    thresholds = bundle.manifest.thresholds if bundle else None
    alarm = False
    for number, window in enumerate(recording.open().windows(), 1):
        checked = detector.check(window)
        rows = extractor.extract(checked, judge.wanted)
        assessment = judge.update(checked.time_ns * 1e-9, rows)
        deviation, changes = detector.update(checked, rows, assessment, thresholds)
        for change in changes:
            if change.part != SENSOR:
                alarm = change.change is not AlarmChange.RETURNED_TO_NORMAL
        yield Said(
            machine=machine.name,
            window=number,
            time_ns=checked.time_ns,
            rows=rows,
            deviation=deviation,
            assessment=assessment,
            told=weigh(of_rows(rows), assessment.faults if assessment else {}),
            alarm=alarm,
            changes=changes,
        )


def estimate(said: Said, bundle: LoadedBundle | None) -> dict[str, Any]:
    """Return `rul_s` ({p05, p50, p95} in seconds, or null), and `reason` where it is null."""
    assessment = said.assessment
    if bundle is None:
        return {"rul_s": None, "reason": "no_model"}
    if assessment is None:
        broken = any(row.quality & Quality.SENSOR_FAULT for row in said.rows)
        return {"rul_s": None, "reason": "sensor_fault" if broken else "not_its_channels"}
    if assessment.rul_s is None:
        return {"rul_s": None, "reason": assessment.reason}
    return {"rul_s": dict(zip(("p05", "p50", "p95"), assessment.rul_s, strict=True))}


def in_words(said: Said, bundle: LoadedBundle | None) -> str:
    """Say the remaining life, or why there is no estimate, in a line for people."""
    estimated = estimate(said, bundle)
    if estimated["rul_s"] is None:
        return words.no_estimate(estimated["reason"])
    low, middle, high = (words.duration(estimated["rul_s"][q]) for q in ("p05", "p50", "p95"))
    return f"Remaining life {low} to {high} (5 to 95 %), middle {middle}."
