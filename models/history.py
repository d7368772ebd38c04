"""What a model sees of a machine: its features against its own healthy start, and how they move.

Prefix only: the vector at time t uses nothing after t. The same class runs on the device and in training, so that both
see the same numbers; its state is small and can be saved with the device's other state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.features import CATALOGUE, Deviation
from models.robust import median

FloatArray = NDArray[np.float32]
_SMALLEST = 1e-12  # an amplitude of zero (dead sensor) must not make a logarithm infinite


class HistoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="view", tag="history"):
    """How much history a model looks at."""

    baseline_windows: int = 30  # windows that make the healthy start
    fast_windows: float = 10.0  # time constant of the fast moving average, in windows
    slow_windows: float = 60.0  # time constant of the slow moving average, in windows

    def problem(self) -> str:
        """What makes these settings useless, in a sentence; empty if nothing does."""
        shortest = min(self.baseline_windows, self.fast_windows, self.slow_windows)
        return "" if shortest >= 1 else "its history needs at least one window"


class History:
    """The condition vector of one machine, updated window by window.

    For each feature the worst channel's deviation from that channel's own baseline is kept as two moving averages and
    their difference; the log of the machine's age ends the vector: D = 3 F + 1 values.

    A channel counts once it was there in half of the windows that make the healthy start; a value that is not finite
    leaves its channel out of that window.
    """

    def __init__(self, features: Sequence[str], config: HistoryConfig | None = None) -> None:
        self.features = tuple(features)
        self.config = config or HistoryConfig()
        self._ratio = np.array([CATALOGUE[f].deviation is Deviation.RATIO for f in features])
        self._start: list[dict[str, list[float]]] = []
        self._baseline: dict[str, NDArray[np.float64]] = {}
        self._fast = self._slow = np.zeros(len(features))
        self._first_s: float | None = None

    @property
    def width(self) -> int:
        """D, the length of the condition vector."""
        return 3 * len(self.features) + 1

    @property
    def inputs(self) -> tuple[str, ...]:
        """A name for each of the D values."""
        parts = [f"{f}:{part}" for part in ("fast", "slow", "trend") for f in self.features]
        return (*parts, "log_age_h")

    @property
    def learned(self) -> bool:
        """Whether the healthy start is known."""
        return bool(self._baseline)

    def update(self, time_s: float, channels: Mapping[str, NDArray[Any]]) -> FloatArray | None:
        """Take one window and return the condition vector (D,), or None while the baseline is being learned.

        `channels` maps each waveform channel to its F feature values, in the order of `features`. None, too, when no
        channel of the window has a baseline.
        """
        scaled = {name: self._scaled(np.asarray(v, np.float64)) for name, v in channels.items()}
        finite = {name: v for name, v in scaled.items() if math.isfinite(v.sum())}
        if not finite:
            return None
        if self._first_s is None:
            self._first_s = time_s
        if not self._baseline and not self._learn(finite):
            return None
        known = [v - self._baseline[n] for n, v in finite.items() if n in self._baseline]
        if not known:
            return None
        worst = self._worst(known)
        self._fast = self._fast + (worst - self._fast) / self.config.fast_windows
        self._slow = self._slow + (worst - self._slow) / self.config.slow_windows
        age_h = max(time_s - self._first_s, 0.0) / 3600.0
        return np.concatenate([self._fast, self._slow, self._fast - self._slow, [math.log1p(age_h)]]).astype(np.float32)

    def _learn(self, channels: Mapping[str, NDArray[np.float64]]) -> bool:
        """Take one window of the healthy start, already scaled; True when it was the last one needed."""
        self._start.append({name: v.tolist() for name, v in channels.items()})
        if len(self._start) < self.config.baseline_windows:
            return False
        rows = {name: [w[name] for w in self._start if name in w] for name in set().union(*self._start)}
        often = {name: r for name, r in rows.items() if 2 * len(r) >= len(self._start)}
        self._baseline = {name: median(r) for name, r in sorted(often.items())}
        self._start = [] if self._baseline else self._start[1:]
        return self.learned

    @staticmethod
    def _worst(deviations: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        worst = deviations[0]
        for other in deviations[1:]:
            worst = np.where(np.abs(other) > np.abs(worst), other, worst)
        return worst

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self._ratio, np.log(np.maximum(np.abs(values), _SMALLEST)), values)

    def narrowed(self, features: Sequence[str], config: HistoryConfig) -> History | None:
        """The history a model of fewer features sees of the same machine; None when one of them is not in this history.

        Deviations of different features don't mix, so with an equal configuration it is the history that this model
        would have made itself. With another one its averages start from these and become its own within their time
        constants, and the healthy start is the one that was learned here.
        """
        position = {f: i for i, f in enumerate(self.features)}
        if any(f not in position for f in features):
            return None
        kept = [position[f] for f in features]
        other = History(features, config)
        other._start = [{n: [v[i] for i in kept] for n, v in w.items()} for w in self._start]
        other._baseline = {n: b[kept] for n, b in self._baseline.items()}
        other._fast, other._slow = self._fast[kept], self._slow[kept]
        other._first_s = self._first_s
        return other

    def dump(self) -> bytes:
        """The whole state, to be restored by `load` after a restart."""
        state = {
            "start": self._start,
            "baseline": {n: b.tolist() for n, b in self._baseline.items()},
            "fast": self._fast.tolist(),
            "slow": self._slow.tolist(),
            "first_s": self._first_s,
        }
        return msgspec.json.encode(state)

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave; the features and the configuration must be the same."""
        state = msgspec.json.decode(data)
        widths = {len(v) for v in (*state["baseline"].values(), state["fast"], state["slow"])}
        if widths != {len(self.features)}:
            raise ValueError(f"a history of {widths} features, not of {len(self.features)}")
        self._start = state["start"]
        self._baseline = {n: np.array(b) for n, b in state["baseline"].items()}
        self._fast, self._slow = np.array(state["fast"]), np.array(state["slow"])
        self._first_s = state["first_s"]
