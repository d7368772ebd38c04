"""One channel against its own healthy start.

Features enter as logarithms, so that a ratio counts the same at every level and the sensor's gain cancels. Three views:
 * agreement: the median over all features. A machine in trouble is louder and rougher in most of them; a resonance that
   shifts, a lubricant that warms up or a neighbour that starts moves a few. Only upwards: run-in is no fault.
 * level: the overall vibration alone. It counts less per step, so that only a rise that leads from the best to the
   worst zone of ISO 20816-1 is enough by itself (unbalance moves little else).
 * lines: the bearing frequencies of the envelope spectrum, which do not raise an alarm but give it a name.

Prefix only: nothing here looks ahead.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.detection.config import DetectionConfig
from edge.types import FeatureRow

Array = NDArray[np.float64]
AGREEMENT = (
    *("rms@1", "peak@1", "crest@1", "kurtosis@1", "shape@1", "envelope_rms@1"),
    *("band1_rms@1", "band2_rms@1", "band3_rms@1", "band4_rms@1", "band5_rms@1"),
)
LEVEL = ("rms@1", "band5_rms@1", "velocity_rms@1")
LINES = ("envelope_bpfo@1", "envelope_bpfi@1", "envelope_bsf@1", "envelope_ftf@1")
TRACKED = (*AGREEMENT, "velocity_rms@1", *LINES)
_MIDDLE = len(AGREEMENT) // 2
_LEVELS = tuple(TRACKED.index(f) for f in LEVEL)
_LEVEL_STEP = math.log(4.5 / 0.71) / 5.0  # ISO 10816-1 class I: zone A ends at 0.71 mm/s, zone D begins at 4.5 mm/s
_SMALLEST = 1e-12  # an amplitude of zero must not make a logarithm infinite
_MAD_TO_SIGMA = 1.4826
_FARTHEST = 40.0  # a single absurd window may not reach farther than this many scales


class Figure(NamedTuple):
    """One feature now, at its healthy start, and where it would be judged alone; `z` in robust standard deviations."""

    z: float
    feature: str
    value: float
    baseline: float
    limit: float


class ChannelBaseline:
    """The healthy start of one channel, and how far the channel is from it now.

    `z` holds the smoothed deviation of each TRACKED feature in robust standard deviations, NaN where the feature is
    not computed for this channel; None while the start is being learned.
    """

    def __init__(self, config: DetectionConfig) -> None:
        self._config = config
        self._start: list[list[float]] = []
        self._centre: Array | None = None
        self._scale: Array = np.ones(len(TRACKED))
        self.z: Array | None = None
        self._columns: tuple[int, NDArray[np.intp], NDArray[np.bool_]] | None = None

    def update(self, row: FeatureRow) -> None:
        """Take one window's features; a row with a value that is not finite, or without AGREEMENT, says nothing."""
        logs = self._logs(row)
        if logs is None:
            return
        if self._centre is None:
            self._learn(logs)
            return
        assert self.z is not None
        now = ((logs - self._centre) / self._scale).clip(-_FARTHEST, _FARTHEST)
        moved = self.z + (now - self.z) / self._config.smoothing_windows
        self.z = np.where(np.isnan(moved), self.z, moved)

    def _logs(self, row: FeatureRow) -> Array | None:
        if self._columns is None or self._columns[0] != row.schema.id:
            position = {name: i for i, name in enumerate(row.schema.columns)}
            if any(f not in position for f in AGREEMENT):
                return None
            where = np.array([position.get(f, 0) for f in TRACKED], dtype=np.intp)
            self._columns = (row.schema.id, where, np.array([f not in position for f in TRACKED]))
        _, where, missing = self._columns
        values = row.values[where].astype(np.float64)
        if not math.isfinite(values.sum()):
            return None
        logs: Array = np.log(np.maximum(np.abs(values), _SMALLEST))
        logs[missing] = math.nan
        return logs

    def _learn(self, logs: Array) -> None:
        self._start.append(logs.tolist())
        if len(self._start) < self._config.baseline_windows:
            return
        start = np.array(self._start)
        self._centre = np.median(start, axis=0)  # NaN stays NaN: a feature that is not always there is not judged
        spread = _MAD_TO_SIGMA * np.median(np.abs(start - self._centre), axis=0)
        self._scale = np.maximum(spread, self._config.smallest_scale)
        self.z = np.where(np.isnan(self._centre), math.nan, 0.0)
        self._start = []

    @property
    def deviation(self) -> float:
        """The larger of agreement and level, in robust standard deviations; 0 while learning."""
        if self.z is None:
            return 0.0
        agreement = float(np.sort(self.z[: len(AGREEMENT)])[_MIDDLE])
        level = [float(self.z[i] * self._scale[i]) / _LEVEL_STEP for i in _LEVELS if not math.isnan(self.z[i])]
        return max(agreement, *level)

    def line(self, feature: str) -> float:
        """The smoothed deviation of one of LINES; 0 when it is not known."""
        z = 0.0 if self.z is None else float(self.z[TRACKED.index(feature)])
        return 0.0 if math.isnan(z) else z

    def figures(self, limit: float) -> list[Figure]:
        """Return each feature that lies above its start, smoothed, in the feature's own unit."""
        if self.z is None or self._centre is None:
            return []
        logs = np.stack([self._centre + self.z * self._scale, self._centre, self._centre + limit * self._scale])
        columns = np.exp(logs).T.tolist()
        return [Figure(float(self.z[i]), f, *columns[i]) for i, f in enumerate(TRACKED) if self.z[i] > 0]

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, for JSON (which writes NaN as null)."""
        return {
            "start": self._start,
            "centre": None if self._centre is None else self._centre.tolist(),
            "scale": self._scale.tolist(),
            "z": None if self.z is None else self.z.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._start = [_array(s).tolist() for s in state["start"]]
        self._centre = None if state["centre"] is None else _array(state["centre"])
        self._scale = _array(state["scale"])
        self.z = None if state["z"] is None else _array(state["z"])


def _array(values: list[float | None]) -> Array:
    return np.array([math.nan if v is None else v for v in values])
