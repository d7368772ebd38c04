"""One machine as its model sees it, window by window.

Invariants:
- The machine's history is kept from its first window on, with all waveform features, also while there is no model: one
  that arrives later finds the machine's own healthy start. Nobody knows what was before the first window: a machine
  that arrives in mid-life is judged against the state in which it arrived.
- A model never speaks on values that are not finite; it says "no estimate" and why. So it does of a machine that shows
  no trend: what has not moved cannot tell when it ends.
- Quantiles are in order, a remaining life is not negative, a degradation is from 0 to 1.
- What one Judge dumps, a Judge with another bundle can load: that is how a model is switched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inference.loaded import LoadedBundle
from edge.types import Assessment, FeatureRow, Machine, Quality
from models.departures import DeparturesConfig
from models.features import WAVEFORM
from models.history import History, HistoryConfig
from models.memory import MemoryConfig
from models.views import View, ViewConfig, open_view

# why there is no estimate
LEARNING, NO_TREND, NOT_FINITE, NOT_ITS_TASK = "too_little_history", "no_trend", "not_finite", "not_its_task"
_KEPT = tuple(spec.id for spec in WAVEFORM)


class _Columns:
    """Picks an ordered list of features from rows, of some channels or of all; remembers where each schema has them."""

    def __init__(self, features: Sequence[str], channels: Sequence[str] = ()) -> None:
        self._features = tuple(features)
        self._channels = frozenset(channels)
        self._where: dict[int, NDArray[np.intp] | None] = {}

    def pick(self, rows: Iterable[FeatureRow]) -> dict[str, NDArray[np.float32]]:
        """The features of each row that has them all, by channel."""
        found = {}
        for row in rows:
            if row.schema.id not in self._where:
                self._where[row.schema.id] = self._positions(row.schema.columns)
            where = self._where[row.schema.id]
            if where is not None and (not self._channels or row.channel in self._channels):
                found[row.channel] = row.values[where]
        return found

    def _positions(self, columns: tuple[str, ...]) -> NDArray[np.intp] | None:
        if any(f not in columns for f in self._features):
            return None
        return np.array([columns.index(f) for f in self._features], dtype=np.intp)


class Judge:
    """The assessments of one machine by one bundle, or its history alone while there is none."""

    def __init__(self, machine: Machine, bundle: LoadedBundle | None = None) -> None:
        self.machine = machine
        self.bundle = bundle
        self._degradation = 0.0  # the last one that was finite
        self._begin()

    def _begin(self) -> None:
        self._kept = History(_KEPT)
        self._kept_columns = _Columns(_KEPT)
        self._own: View | None = None  # the bundle's, where it is more than a part of the kept one
        self._part: NDArray[np.intp] | None = None  # of the kept condition, where the bundle's is a part of it
        self._waiting: dict[str, msgspec.Raw] = {}  # without a bundle: the view of one that was here, or will be
        if self.bundle is None:
            return
        features, config = self.bundle.manifest.features, self.bundle.manifest.view
        if config == HistoryConfig() and set(features) <= set(_KEPT):
            at = [_KEPT.index(f) for f in features]
            width = len(_KEPT)
            self._part = np.array([*at, *(i + width for i in at), *(i + 2 * width for i in at), 3 * width], np.intp)
        else:
            self._own = open_view(config, features)
            named = config.channels if isinstance(config, DeparturesConfig | MemoryConfig) else ()
            self._own_columns = _Columns(features, named)

    @property
    def learned(self) -> bool:
        """Whether the healthy start that the bundle compares with is known; without a bundle, that of the history."""
        return (self._own or self._kept).learned

    @property
    def wanted(self) -> tuple[str, ...]:
        """Ids of the features that the bundle reads: the extractor makes the dear ones only for it."""
        return self.bundle.manifest.features if self.bundle else ()

    def update(self, time_s: float, rows: Sequence[FeatureRow]) -> Assessment | None:
        """Take one window's rows; None without a bundle, or when no channel has the features that it needs.

        `time_s` is the event time. Rows of a faulty sensor are left out. While the healthy start is being learned the
        degradation is 0, which is what a start means, and there is no estimate.
        """
        learned = self.learned  # before this window: the last one of the start is still a part of it
        usable = [r for r in rows if not r.quality & Quality.SENSOR_FAULT]
        kept = self._kept_columns.pick(usable)
        condition = self._kept.update(time_s, kept) if kept else None
        if self.bundle is None:
            return None
        seen = kept
        if self._own is not None:
            seen = self._own_columns.pick(usable)
            condition = self._own.update(time_s, seen) if seen else None
        elif condition is not None:
            condition = condition[self._part]
        if not seen:
            return None
        if condition is None:
            return self._no_estimate(NOT_FINITE if learned else LEARNING)
        return self._assess(condition, self.bundle)

    def _assess(self, condition: NDArray[np.float32], bundle: LoadedBundle) -> Assessment:
        answer = bundle.infer(condition[None])
        parts = (answer.degradation, answer.rul_s, answer.trend, answer.fault)
        if not all(np.isfinite(part).all() for part in parts if part is not None):
            return self._no_estimate(NOT_FINITE)
        self._degradation = min(max(float(answer.degradation[0]), 0.0), 1.0)
        faults = (
            {} if answer.fault is None else dict(zip(bundle.manifest.faults, answer.fault[0].tolist(), strict=True))
        )
        said, reason = None, NOT_ITS_TASK
        if answer.rul_s is not None:
            p05, p50, p95 = sorted(max(v, 0.0) for v in answer.rul_s[0].tolist())
            said, reason = (p05, p50, p95), ""
        if answer.trend is not None and answer.trend[0] < 1.0:
            reason = NO_TREND
        return Assessment(
            bundle=bundle.name,
            degradation=self._degradation,
            rul_s=None if reason else said,
            reason=reason,
            population_s=said if reason else None,
            faults=faults,
        )

    def _no_estimate(self, reason: str) -> Assessment:
        assert self.bundle is not None
        return Assessment(bundle=self.bundle.name, degradation=self._degradation, rul_s=None, reason=reason)

    def new_baseline(self) -> None:
        """The machine was repaired: its healthy start and its age begin anew."""
        self._degradation = 0.0
        self._begin()

    def dump(self) -> bytes:
        """The whole state, to be restored by `load` after a restart or into the Judge of another bundle."""
        state: dict[str, Any] = {"kept": msgspec.Raw(self._kept.dump()), "degradation": self._degradation}
        if self._own is not None:
            state["own"] = msgspec.Raw(self._own.dump())
            state["features"] = self._own.features
            state["config"] = self._own.config
        state |= self._waiting
        state["bundle"] = self.bundle.name if self.bundle else ""
        return msgspec.json.encode(state)

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave, also of a Judge with another bundle or none.

        Without a bundle, the view of one that was in the dump waits for it: a device that replaces another knows its
        machines before it has their models. A bundle whose history was not in the dump takes over what the kept history
        knows; where that lacks one of its features, it begins to learn.
        """
        state = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        self._begin()
        self._kept.load(bytes(state["kept"]))
        same_bundle = msgspec.json.decode(state["bundle"]) == (self.bundle.name if self.bundle else "")
        self._degradation = msgspec.json.decode(state["degradation"]) if same_bundle else 0.0
        if self.bundle is None:
            self._waiting = {name: state[name] for name in ("own", "features", "config") if name in state}
        if self._own is None:
            return
        if _is_of(state, self._own):
            self._own.load(bytes(state["own"]))
        elif isinstance(self._own, History):
            self._own = self._kept.narrowed(self._own.features, self._own.config) or self._own


def _is_of(state: Mapping[str, msgspec.Raw], view: View) -> bool:
    if "own" not in state:
        return False
    features = msgspec.json.decode(state["features"], type=tuple[str, ...])
    return features == view.features and msgspec.json.decode(state["config"], type=ViewConfig) == view.config
