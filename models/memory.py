"""What a model sees of slow channels: each of them remembered over several lengths, beside its own healthy start.

A cycle's reading is noisy and wear is slow, so what counts is where a channel has been lately and over a longer time.
Moving averages of a few lengths hold that in a fixed number of values, whatever the length of the machine's life.
Prefix only, and small enough to be saved with the device's other state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class MemoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="view", tag="memory"):
    """Which channels are remembered, and for how long."""

    channels: tuple[str, ...] = ()  # none: training takes those that all machines have
    lengths: tuple[float, ...] = (1.0, 4.0, 12.0, 36.0, 108.0)  # time constants in windows; 1: the reading
    start_windows: int = 10  # windows whose mean is the healthy start; before, there is no condition

    def problem(self) -> str:
        """What makes these settings useless, in a sentence; empty if nothing does."""
        if not self.channels or len(set(self.channels)) != len(self.channels):
            return "its list of channels is empty or names one twice"
        if not self.lengths or not all(1 <= length < math.inf for length in self.lengths) or self.start_windows < 1:
            return "its memory needs lengths of at least one window, and a start of at least one"
        return ""


class Memory:
    """The condition vector of one machine, window by window.

    With C channels of F features and K lengths: K moving averages of each of the C F series, the mean of each series
    at the start, and the log of the machine's age, D = C F (K + 1) + 1 values in the series' own units. An average is
    weighted so that it is a mean of what was seen, also before its length is over; a value that is missing or not
    finite leaves its series as it was.
    """

    def __init__(self, features: Sequence[str], config: MemoryConfig) -> None:
        self.features = tuple(features)
        self.config = config
        series, lengths = len(config.channels) * len(self.features), len(config.lengths)
        self._gain = 1.0 / np.array(config.lengths)[:, None]
        self._sum = np.zeros((lengths, series))
        self._weight = np.zeros((lengths, series))
        self._start = np.zeros(series)
        self._counted = np.zeros(series)
        self._windows = 0
        self._first_s: float | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """A name for each of the D values."""
        series = [f"{channel}:{f}" for channel in self.config.channels for f in self.features]
        parts = (*(f"mean {length:g}" for length in self.config.lengths), "start")
        return (*(f"{name}:{part}" for part in parts for name in series), "log_age_h")

    @property
    def learned(self) -> bool:
        """Whether the healthy start is known."""
        return self._windows >= self.config.start_windows

    def update(self, time_s: float, channels: Mapping[str, NDArray[Any]]) -> FloatArray | None:
        """Take one window; the condition vector (D,), or None while the start is learned or a series was never seen."""
        absent = np.full(len(self.features), math.nan)
        values = np.concatenate([np.asarray(channels.get(c, absent), np.float64) for c in self.config.channels])
        seen = np.isfinite(values)
        if not seen.any():
            return None
        if self._first_s is None:
            self._first_s = time_s
        self._remember(np.where(seen, values, 0.0), seen)
        if not self.learned or not self._counted.all():
            return None
        age_h = max(time_s - self._first_s, 0.0) / 3600.0
        means = (self._sum / self._weight).ravel()
        return np.concatenate([means, self._start / self._counted, [math.log1p(age_h)]]).astype(np.float32)

    def _remember(self, values: NDArray[np.float64], seen: NDArray[np.bool_]) -> None:
        gain = self._gain * seen
        self._sum += gain * (values - self._sum)
        self._weight += gain * (1.0 - self._weight)
        early = seen & (self._counted < self.config.start_windows)
        self._start += values * early
        self._counted += early
        self._windows += 1

    def dump(self) -> bytes:
        """The whole state, to be restored by `load` after a restart."""
        state = {
            "sum": self._sum.tolist(),
            "weight": self._weight.tolist(),
            "start": self._start.tolist(),
            "counted": self._counted.tolist(),
            "windows": self._windows,
            "first_s": self._first_s,
        }
        return msgspec.json.encode(state)

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave; the features and the configuration must be the same."""
        state = msgspec.json.decode(data)
        self._sum, self._weight = np.array(state["sum"]), np.array(state["weight"])
        self._start, self._counted = np.array(state["start"]), np.array(state["counted"])
        self._windows, self._first_s = state["windows"], state["first_s"]
