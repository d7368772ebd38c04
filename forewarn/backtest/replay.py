"""Stored windows through the device's own judge and detector: which alarms would have been raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.detection import Detector
from edge.inference import Judge, LoadedBundle
from edge.inference.judge import LEARNING
from edge.types import SENSOR, AlarmChange, FeatureRow, Machine, Window
from training.labels import Span


@dataclass(frozen=True, slots=True)
class Told:
    """Something that the crew would have been told."""

    time_ns: int
    raised: bool  # a new alarm; otherwise one that became worse
    severity: str
    source: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What a device would have said in one life."""

    told: tuple[Told, ...]
    windows: int
    judged: int  # windows of which the model said something


def replay(
    machine: Machine,
    windows: Sequence[tuple[Window, list[FeatureRow]]],
    life: Span,
    bundle: LoadedBundle | None,
) -> Heard:
    """Replay the windows of one life, from a new healthy start on; nothing uses what comes later."""
    judge, detector = Judge(machine, bundle), Detector(machine)
    thresholds = bundle.manifest.thresholds if bundle else None
    told, count, judged = [], 0, 0
    for window, rows in windows:
        if not life.begin_ns <= window.time_ns <= life.end_ns:
            continue
        checked = detector.check(window)
        assessment = judge.update(checked.time_ns * 1e-9, rows)
        _, changes = detector.update(checked, rows, assessment, thresholds)
        count += 1
        judged += assessment is not None and assessment.reason != LEARNING
        told += [
            Told(a.time_ns, a.change is AlarmChange.RAISED, a.severity, a.source)
            for a in changes
            if a.part != SENSOR and a.change is not AlarmChange.RETURNED_TO_NORMAL
        ]
    return Heard(tuple(told), count, judged)
