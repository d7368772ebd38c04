"""What a model of departures sees of the machines that were listened to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.departures import LEVEL, Departures
from models.history import FloatArray
from training.anomaly.alarms import Heard, Mask, stretches
from training.anomaly.config import AnomalyConfig

Windows = Sequence[tuple[float, Mapping[str, NDArray[np.float32]]]]  # event time in seconds, level by channel


@dataclass(frozen=True, slots=True)
class Run:
    """A machine that was listened to: n windows."""

    machine: str
    windows: Windows
    healthy: Mask  # (n,) windows in which an alarm would be false
    faulty: Mask | None = None  # (n,) marked as faulty; None: nobody has marked anything


@dataclass(frozen=True, slots=True)
class Seen:
    """The same after its healthy start: m windows of C channels."""

    condition: FloatArray  # (m, 2 C) departures from the start, then from the slow level
    healthy: Mask
    faulty: Mask | None

    @property
    def marked(self) -> bool:
        """Whether a window is marked as faulty."""
        return self.faulty is not None and bool(self.faulty.any())

    def heard(self, *, from_start: bool) -> Heard:
        """Its largest departures from the start, or from the slow level."""
        start, slow = np.split(np.abs(self.condition), 2, axis=1)
        most = (start if from_start else slow).max(axis=1)
        return Heard(most, self.healthy, stretches(self.faulty))


def look(runs: Sequence[Run], config: AnomalyConfig) -> dict[str, Seen]:
    """What the view sees of each run that is longer than its healthy start, by machine."""
    seen = {}
    for run in runs:
        departures = Departures((LEVEL,), config.view)
        found = [departures.update(t, levels) for t, levels in run.windows]
        at = np.array([i for i, c in enumerate(found) if c is not None], dtype=np.intp)
        if at.size:
            condition = np.stack([c for c in found if c is not None])
            faulty = None if run.faulty is None else run.faulty[at]
            seen[run.machine] = Seen(condition, run.healthy[at], faulty)
    return seen
