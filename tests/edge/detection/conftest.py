"""A machine whose features are drawn, not measured: tests choose how far each stands from its start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edge.detection import DetectionConfig, Detector
from edge.types import Alarm, Channel, ChannelKind, FeatureRow, Kind, Machine, Schema, Window
from models.features import BEARING, WAVEFORM

SPECS = (*WAVEFORM, *BEARING[:3])
SCHEMA = Schema(tuple(s.id for s in SPECS), tuple(s.unit.replace("=", "g") for s in SPECS))
HEALTHY = np.array([0.3, 1.2, 4, 3, 0.1, 1.25, 0.2, 0.1, 0.1, 0.05, 0.1, 4000, 0.1, 3, 3, 3], np.float32)
Step = tuple[float, list[Alarm]]


class Fleet:
    """Makes machines of two channels, and the rows and windows that a detector takes."""

    machine = Machine(
        name="P-101",
        machine_class="pump",
        channels=(
            *(Channel(name=n, kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25_600.0) for n in ("h", "v")),
            Channel(name="t", kind=ChannelKind.SCALAR, unit="C", rate_hz=1.0),
        ),
    )
    schema = SCHEMA

    def __init__(self) -> None:
        self.sound = np.random.default_rng(7).standard_normal((2, 256)).astype(np.float32)

    def detector(self, **changes: float) -> Detector:
        return Detector(self.machine, DetectionConfig(**{"baseline_windows": 5, **changes}))

    def window(self, index: int, **samples: np.ndarray) -> Window:
        return Window(
            machine="P-101", time_ns=index * 10**10, samples={"h": self.sound[0], "v": self.sound[1], **samples}
        )

    def rows(self, factor: float | np.ndarray, channels: str = "hv") -> list[FeatureRow]:
        values = (HEALTHY * factor).astype(np.float32)
        return [FeatureRow(c, Kind.FEATURES, SCHEMA, values) for c in channels]

    def only(self, features: Sequence[str], factor: float) -> np.ndarray:
        """Factors that raise these features and leave the others."""
        return np.array([factor if s.id in features else 1.0 for s in SPECS])

    def run(self, detector: Detector, factors: Sequence[float | np.ndarray], first: int = 0) -> list[Step]:
        return [detector.update(self.window(first + i), self.rows(f)) for i, f in enumerate(factors)]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def changes() -> Callable[[Sequence[Step]], list[tuple[int, Alarm]]]:
    """The alarms of a run, each with the index of its window."""
    return lambda steps: [(i, alarm) for i, (_, alarms) in enumerate(steps) for alarm in alarms]
