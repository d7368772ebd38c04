"""Slow channels against their own healthy start and against where they stood lately.

For machines on which nothing has ever failed: what a healthy start teaches is each channel's level and how far it
wanders. Two departures a channel follow from it: of the fast average from the start's level, and from a slow level
that goes along with what is harmless (seasons, running in). How far a channel wanders goes along, too: a start of some
days has not seen every week. A pause makes the slow level start anew: a machine that was switched off may come back at
another level, and that alone is no fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.history import FloatArray
from models.robust import median

Array = NDArray[np.float64]
LEVEL = "level@1"
_SMALLEST = 1e-9  # spread of a channel that stands still, as a share of its level
_FAR = 10.0  # spreads; a lone value beyond is an outlier until the next one confirms it
_STEP = 3.0  # spreads, wanderings; what is farther away than this teaches no more than this
_CALMEST = 0.1  # spreads; how far a channel wanders is never taken for less
_MEAN = 0.8  # of the size of a normal deviate: sqrt(2 / pi)
_WARM = 20  # windows of the start after which the averages have settled
_SETTLING = 6  # windows after a pause that make the new level


class DeparturesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="view", tag="departures"):
    """Which channels, and how fast their averages are."""

    channels: tuple[str, ...] = ()  # none: training takes those that all machines have
    start_windows: int = 400  # that make the healthy start
    fast_windows: float = 4.0  # time constant of the fast average
    slow_windows: float = 200.0  # time constant of the slow level
    wander_windows: float = 1000.0  # time constant of how far the fast average wanders about the slow level
    pause_steps: float = 30.0  # a gap of more than so many usual steps is a pause

    def problem(self) -> str:
        """What makes these settings useless, in a sentence; empty if nothing does."""
        if not self.channels or len(set(self.channels)) != len(self.channels):
            return "its list of channels is empty or names one twice"
        if self.start_windows <= 2 * _WARM:
            return f"its healthy start needs more than {2 * _WARM} windows"
        if min(self.fast_windows, self.slow_windows, self.wander_windows, self.pause_steps) < 1:
            return "its averages and its pause need at least one window"
        return ""


class _State(msgspec.Struct):
    """All that changes, C values a row; None and NaN (None once it was saved) stand for what is missing."""

    start: list[list[float | None]]  # windows of the healthy start
    times: list[float]
    level: list[float | None]  # of the start; None: its channel was missing in half of it
    spread: list[float]  # of the values in the start
    wander: list[float]  # how far the departure from the slow level wanders
    fast: list[float]
    slow: list[float]
    far: list[float]  # -1, 0, 1: the side on which the last value was far away
    step_s: float = 0.0
    last_s: float = 0.0
    settling: list[list[float]] | None = None  # windows since a pause


class Departures:
    """The condition vector of one machine: of each channel the departure from its start, then from its slow level.

    The first are in spreads of the start's values, the second in wanderings, both as standard deviations. A channel
    that is missing in a window keeps its averages; one that was missing in half of the start departs by 0.
    """

    features = (LEVEL,)

    def __init__(self, features: Sequence[str], config: DeparturesConfig) -> None:
        if tuple(features) != self.features:
            raise ValueError(f"departures are of {LEVEL} alone, not of {', '.join(features)}")
        self.config = config
        self._s = _State([], [], [], [], [], [], [], [])

    @property
    def inputs(self) -> tuple[str, ...]:
        """A name for each of the D = 2 C values."""
        return tuple(f"{c}:{part}" for part in ("start", "slow") for c in self.config.channels)

    @property
    def learned(self) -> bool:
        """Whether the healthy start is known."""
        return bool(self._s.level)

    def update(self, time_s: float, channels: Mapping[str, NDArray[Any]]) -> FloatArray | None:
        """Take one window's levels by channel; None while the start is learned, or when no channel has a value."""
        found = [float(channels[c][0]) if c in channels else np.nan for c in self.config.channels]
        values = np.where(np.isfinite(found), found, np.nan)
        if np.isnan(values).all():
            return None
        if not self.learned:
            self._s.start.append(values.tolist())
            self._s.times.append(time_s)
            if len(self._s.start) == self.config.start_windows:
                self._learn()
            return None
        return self._condition(*self._move(time_s, values))

    def _learn(self) -> None:
        s, rows, times = self._s, np.array(self._s.start, np.float64), self._s.times
        known = np.isfinite(rows).sum(axis=0) * 2 >= len(rows)
        filled = np.where(known, rows, 0.0)
        low, middle, high = np.nanquantile(filled, [0.05, 0.5, 0.95], axis=0)
        spread = np.maximum((high - low) / 3.29, _SMALLEST * (1.0 + np.abs(middle)))
        # a mean, since a converter that flickers between two steps has its level between them
        level = np.nanmean(np.clip(filled, middle - _STEP * spread, middle + _STEP * spread), axis=0)
        first = np.nanmedian(np.vstack([filled[:5], np.where(np.isnan(filled[:5]).all(0), middle, np.nan)]), axis=0)
        s.level, s.spread = np.where(known, level, np.nan).tolist(), spread.tolist()
        s.step_s = float(median(np.diff(times)))
        s.fast, s.slow, s.far, s.last_s = first.tolist(), first.tolist(), [0.0] * len(middle), times[0]
        wandered = np.abs([self._move(t, row)[1] for t, row in zip(times, filled, strict=True)][_WARM:])
        s.wander = np.maximum(np.quantile(wandered, 0.95, axis=0) / 1.96, _SMALLEST * (1.0 + np.abs(middle))).tolist()
        s.start, s.times = [], []

    def _move(self, time_s: float, values: Array) -> tuple[Array, Array]:
        """Take one window's values (C,) and return both departures (C,) in the channels' own units."""
        s, c = self._s, self.config
        if s.step_s > 0 and time_s - s.last_s > c.pause_steps * s.step_s:
            s.settling = []
        s.last_s = time_s
        spread, fast, slow = np.array(s.spread), np.array(s.fast), np.array(s.slow)
        values = np.where(np.isnan(values), fast, values)
        if s.settling is not None:
            s.settling.append(values.tolist())
            fast = slow = median(s.settling, axis=0)
            s.settling = s.settling if len(s.settling) < _SETTLING else None
        else:
            off = values - fast
            far = np.sign(off) * (np.abs(off) > _FAR * spread)
            confirmed = (far == 0) | (far == np.array(s.far))
            fast = fast + np.where(confirmed, off, 0.0) / c.fast_windows
            slow = slow + np.clip(values - slow, -_STEP * spread, _STEP * spread) / c.slow_windows
            s.far = far.tolist()
        s.fast, s.slow = fast.tolist(), slow.tolist()
        return fast - np.array(s.level, np.float64), fast - slow

    def _condition(self, from_start: Array, from_slow: Array) -> FloatArray:
        s, wander = self._s, np.array(self._s.wander)
        both = np.concatenate([from_start / np.array(s.spread), from_slow / wander])
        known = np.isfinite(np.tile(np.array(s.level, np.float64), 2))
        seen = np.minimum(np.abs(from_slow) / _MEAN, _STEP * wander)
        wander = wander + (seen - wander) / self.config.wander_windows
        s.wander = np.maximum(wander, _CALMEST * np.array(s.spread)).tolist()
        return np.where(known, both, 0.0).astype(np.float32)

    def dump(self) -> bytes:
        """Return the whole state, to be restored by `load` after a restart."""
        return msgspec.json.encode(self._s)

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave; the configuration must be the same."""
        self._s = msgspec.json.decode(data, type=_State)
