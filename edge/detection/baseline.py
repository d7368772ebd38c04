"""One channel against its own healthy start.

Features enter as logarithms, so that a ratio counts the same at every level and the sensor's gain cancels. Three views:
 * agreement: the median over all features. A machine in trouble is louder and rougher in most of them; a resonance that
   shifts, a lubricant that warms up or a neighbour that starts moves a few. Only upwards: run-in is no fault.
 * level: the overall vibration alone. It counts less per step, so that only a rise that leads from the best to the
   worst zone of ISO 20816-1 is enough by itself (unbalance moves little else). Together with agreement less is enough:
   a loose machine is somewhat rougher everywhere and much louder at low frequencies.
 * lines: the bearing frequencies of the envelope spectrum, which do not raise an alarm but give it a name.

Where slow channels tell speed and load, each regime has a healthy start of its own; what a machine has already deviated
when it enters a new one stays with it. Prefix only: nothing looks ahead.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.detection.config import DetectionConfig
from edge.detection.regime import ANY, LOAD_STEP, SPEED_STEP, Regime
from edge.detection.settling import Settling
from edge.types import FeatureRow
from models.robust import median

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
_ROOT_OF_2 = math.sqrt(2.0)
_ONES = np.ones(len(TRACKED))
_SMALLEST = 1e-12  # an amplitude of zero must not make a logarithm infinite
_MAD_TO_SIGMA = 1.4826
_MOST_CELLS, _MOST_STARTS = 256, 16  # regimes known, and regimes half learned; the oldest goes
_SHAPES = np.array([f in ("crest@1", "kurtosis@1", "shape@1", *LINES) for f in TRACKED])
_SHAPE_ROOM = 0.2  # a shape's logarithm hardly moves with the regime
_FASTEST = 10.0  # scales from the smoothed deviation that a window counts for at most: a few absurd ones raise nothing
_SUSPICIOUS = 0.5  # of the limit: from here on what a machine brings into a regime that it never saw stays with it


class Figure(NamedTuple):
    """One feature now, at its healthy start, and where it would be judged alone; `z` in robust standard deviations."""

    z: float
    feature: str
    value: float
    baseline: float
    limit: float


class ChannelBaseline:
    """The healthy start of one channel in each regime, and how far the channel is from it now.

    `z` holds the smoothed deviation of each TRACKED feature in robust standard deviations, NaN where the feature is
    not computed for this channel; None while the first start is being learned. It goes on from regime to regime.
    """

    def __init__(self, config: DetectionConfig, limit: float) -> None:
        """`limit` is the deviation at which the machine is raised."""
        self._config = config
        self._suspicious = _SUSPICIOUS * limit
        self._cells: dict[Regime, tuple[Array, Array]] = {}  # centre and scale of each regime
        self._starts: dict[Regime, list[list[float]]] = {}
        self._regime = ANY
        self._centre: Array | None = None  # of the regime that was judged last
        self._scale: Array = np.ones(len(TRACKED))
        self._widened: Array = np.zeros(len(TRACKED))
        self._settling = Settling(len(TRACKED))
        self.z: Array | None = None
        self.deviation = 0.0  # how far the channel is from its healthy start, as a robust z; 0 while learning
        self.logs: Array | None = None  # of the window that was heard last
        self.centre: Array | None = None  # the healthy start of its regime; None while it is learned
        self._columns: tuple[int, NDArray[np.intp], NDArray[np.bool_]] | None = None

    def hear(self, row: FeatureRow, regime: Regime = ANY) -> bool:
        """Read one window's features; False for a row with a value that is not finite, or without AGREEMENT."""
        self.logs = self._logs(row)
        self._regime = regime
        cell = self._cells.get(regime)
        self.centre = None if cell is None else cell[0]
        return self.logs is not None

    def update(self, time_ns: int = 0) -> bool:
        """Judge what was heard; True where this regime's start is known and the deviation was moved."""
        logs = self.logs
        if logs is None:
            return False
        cell = self._cells.get(self._regime)
        if cell is None:
            self._learn(logs)
            return False
        assert self.z is not None
        self._centre, self._scale = cell
        distance = logs - self._centre
        away = distance / self._scale - self.z
        step = np.minimum(np.maximum(away, -_FASTEST), _FASTEST) / self._config.smoothing_windows
        np.copyto(step, 0.0, where=np.isnan(step))  # a feature that this window does not have stays where it is
        self.z = self.z + step
        if not self._settling.done:
            self._widen(self._settling.update(time_ns, distance))
        self.deviation = self._deviation(self.z)
        return True

    def _widen(self, spread: Array | None) -> None:
        if spread is None:
            return
        self._widened = np.fmax(self._widened, spread)
        self._cells = {r: (centre, np.maximum(scale, self._widened)) for r, (centre, scale) in self._cells.items()}

    def _logs(self, row: FeatureRow) -> Array | None:
        if self._columns is None or self._columns[0] != row.schema.id:
            position = {name: i for i, name in enumerate(row.schema.columns)}
            if any(f not in position for f in AGREEMENT):
                return None
            where = np.array([position.get(f, 0) for f in TRACKED], dtype=np.intp)
            self._columns = (row.schema.id, where, np.array([f not in position for f in TRACKED]))
        _, where, missing = self._columns
        logs: Array = row.values.take(where).astype(np.float64)
        if not math.isfinite(logs.dot(_ONES)):
            return None
        np.maximum(np.abs(logs, out=logs), _SMALLEST, out=logs)
        np.log(logs, out=logs)
        logs[missing] = math.nan
        return logs

    def _learn(self, logs: Array) -> None:
        if self._regime not in self._starts and len(self._starts) >= _MOST_STARTS:
            self._starts.pop(next(iter(self._starts)))
        windows = self._starts.setdefault(self._regime, [])
        windows.append(logs.tolist())
        if len(windows) < self._config.baseline_windows:
            return
        start = np.array(self._starts.pop(self._regime))
        centre = median(start, axis=0)  # NaN stays NaN: a feature that is not always there is not judged
        spread = _MAD_TO_SIGMA * median(np.abs(start - centre), axis=0)
        scale = np.maximum(np.maximum(spread, self._config.smallest_scale), self._widened)
        if len(self._cells) >= _MOST_CELLS:
            self._cells.pop(next(iter(self._cells)))
        if self.z is not None and self.deviation >= self._suspicious:
            centre = centre - np.fmax(self.z, 0.0) * scale
        self._cells[self._regime] = (np.minimum(centre, self._highest(centre)), scale)
        if self._centre is None or self.z is None:
            self._centre, self._scale = self._cells[self._regime]
            self.z = np.where(np.isnan(centre), math.nan, 0.0)

    def _highest(self, centre: Array) -> Array:
        """How high a start may be that is learned when others are known: a new regime does not excuse a failure.

        Acceleration goes with the square of the speed at most, and with the load.
        """
        highest = np.full(centre.shape, math.inf)
        for regime, (known, _) in self._cells.items():
            speed = SPEED_STEP * (abs(regime.speed - self._regime.speed) + 1)
            load = LOAD_STEP * (abs(regime.load - self._regime.load) + 1)
            room = np.where(_SHAPES, _SHAPE_ROOM, 2.0 * speed + load)
            highest = np.fmin(highest, known + room)
        return highest

    def _deviation(self, z: Array) -> float:
        """The largest of agreement, level, and both together: their sum over the root of 2, as Stouffer adds z."""
        smoothed: list[float] = z.tolist()
        agreement = sorted(smoothed[: len(AGREEMENT)])[_MIDDLE]  # never NaN: a row has all of them or is not read
        level = max(smoothed[i] * self._scale.item(i) for i in _LEVELS if not math.isnan(smoothed[i])) / _LEVEL_STEP
        return max(agreement, level, (agreement + level) / _ROOT_OF_2)

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
            "cells": [[*r, centre.tolist(), scale.tolist()] for r, (centre, scale) in self._cells.items()],
            "starts": [[*r, windows] for r, windows in self._starts.items()],
            "regime": list(self._regime),
            "centre": None if self._centre is None else self._centre.tolist(),
            "scale": self._scale.tolist(),
            "widened": self._widened.tolist(),
            "settled": self._settling.done,
            "settling": self._settling.state(),
            "z": None if self.z is None else self.z.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; a state of before there were regimes is the start of ANY."""
        self._centre = None if state["centre"] is None else _array(state["centre"])
        self._scale = _array(state["scale"])
        self.z = None if state["z"] is None else _array(state["z"])
        self.deviation = 0.0 if self.z is None else self._deviation(self.z)
        if "cells" not in state:
            self._cells = {} if self._centre is None else {ANY: (self._centre, self._scale)}
            self._starts = {ANY: [_array(s).tolist() for s in state["start"]]} if state["start"] else {}
            return
        self._cells = {Regime(s, q): (_array(c), _array(w)) for s, q, c, w in state["cells"]}
        self._starts = {Regime(s, q): [_array(w).tolist() for w in windows] for s, q, windows in state["starts"]}
        self._regime = Regime(*state["regime"])
        self._widened = _array(state["widened"])
        self._settling.restore(state["settling"], done=state["settled"])


def _array(values: list[float | None]) -> Array:
    """ValueError unless there is one for each of TRACKED: the state is of a version that tracked others."""
    if len(values) != len(TRACKED):
        raise ValueError(f"{len(values)} features where {len(TRACKED)} are tracked")
    return np.array([math.nan if v is None else v for v in values])
