"""What a model of faults sees of a machine: its bearing's lines and the shape of its vibration, free of any gain.

Prefix only. The lines already speak of the last unbroken samples, so the newest of them stand in the vector; shapes are
averaged over the windows so far. Nothing is compared with a healthy start: a machine may come with its damage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.features import CATALOGUE, PROMINENCE, RIVAL, Deviation
from models.history import FloatArray

_SMALLEST = 1e-12  # of a dead channel, whose logarithm must stay finite
_LINES = tuple(s.id for s in PROMINENCE + RIVAL)


class LinesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="view", tag="lines"):
    """How long the shape of a vibration is averaged."""

    windows: int = 64  # the mean of so many windows, then a moving average of this time constant

    def problem(self) -> str:
        """What makes these settings useless, in a sentence; empty if nothing does."""
        return "" if self.windows >= 1 else "it averages over no window"


class Lines:
    """The condition vector of one machine, updated window by window.

    The lines (prominences and their rivals, those that are among the features) are those of the channel with the most
    prominent one. The other features are averaged over windows, then over channels: amplitudes as logarithms less their
    mean, so that the sensor's gain drops out, dimensionless figures as asinh(value), so that none runs away.
    """

    def __init__(self, features: Sequence[str], config: LinesConfig | None = None) -> None:
        self.features = tuple(features)
        self.config = config or LinesConfig()
        at = {f: i for i, f in enumerate(features)}
        self._lines = [at[f] for f in _LINES if f in at]
        self._clearest = [at[s.id] for s in PROMINENCE if s.id in at] or self._lines
        rest = [f for f in features if f not in _LINES]
        self._amplitudes = [at[f] for f in rest if CATALOGUE[f].deviation is Deviation.RATIO]
        self._figures = [at[f] for f in rest if CATALOGUE[f].deviation is not Deviation.RATIO]
        self._shapes: dict[str, NDArray[np.float64]] = {}
        self._seen: dict[str, int] = {}

    @property
    def inputs(self) -> tuple[str, ...]:
        """A name for each of the D values, one for each feature: the lines first."""
        order = (*self._lines, *self._amplitudes, *self._figures)
        return tuple(self.features[i] + ("" if i in self._lines else ":shape") for i in order)

    @property
    def learned(self) -> bool:
        """Always: there is no healthy start to learn."""
        return True

    def update(self, time_s: float, channels: Mapping[str, NDArray[Any]]) -> FloatArray | None:
        """Take one window and return the condition vector (D,); None when no channel's features are finite."""
        finite = {n: np.asarray(v, np.float64) for n, v in channels.items() if math.isfinite(float(np.sum(v)))}
        if not finite:
            return None
        for name, values in finite.items():
            self._average(name, self._shape(values))
        clearest = max(finite.values(), key=lambda v: float(v[self._clearest].max(initial=-math.inf)))
        shape = np.mean([self._shapes[n] for n in finite], axis=0)
        return np.concatenate([clearest[self._lines], shape]).astype(np.float32)

    def _shape(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        logs = np.log(np.maximum(values[self._amplitudes], _SMALLEST))
        return np.concatenate([logs - logs.mean() if logs.size else logs, np.arcsinh(values[self._figures])])

    def _average(self, name: str, shape: NDArray[np.float64]) -> None:
        seen = self._seen[name] = min(self._seen.get(name, 0) + 1, self.config.windows)
        before = self._shapes.get(name, shape)
        self._shapes[name] = before + (shape - before) / seen

    def dump(self) -> bytes:
        """The whole state, to be restored by `load` after a restart."""
        return msgspec.json.encode({"shapes": {n: s.tolist() for n, s in self._shapes.items()}, "seen": self._seen})

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave; the features and the configuration must be the same."""
        state = msgspec.json.decode(data)
        self._shapes = {n: np.array(s) for n, s in state["shapes"].items()}
        self._seen = state["seen"]
