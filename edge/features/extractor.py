"""From a window to rows of features: channels of one rate and length are computed together.

The plan of a channel is fixed by its configuration and its window's length, so equal windows give equal schemas. The
features of a long measurement stand behind the others in the row of the window that completes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from edge.features.config import FeaturesConfig
from edge.features.lines import LineFeatures
from edge.features.long import LongFeatures
from edge.features.residual import Residual, explaining, is_explained
from edge.features.scalar import Trend
from edge.features.speed import TURNING, ShaftSpeed
from edge.features.waveform import SHORTEST, WaveformPlan
from edge.types import Channel, ChannelKind, FeatureRow, FloatArray, Kind, Machine, Quality, Schema, Window
from models.features import RESIDUAL, SCALAR, FeatureSpec

_PLANS_KEPT = 16  # lengths and speeds at a time; a recording has one length, and a shorter last window


class Extractor:
    """The features of one machine, window by window.

    Keeps what the rates and residuals of slow channels need, and the windows of one long measurement.
    """

    def __init__(self, machine: Machine, config: FeaturesConfig | None = None) -> None:
        self.machine = machine
        slow = [c for c in machine.channels if c.kind is ChannelKind.SCALAR]
        self._fast = {c.name: c for c in machine.channels if c.kind is ChannelKind.WAVEFORM and c.unit not in TURNING}
        self._trends = {c.name: Trend() for c in slow}
        self._explaining = explaining(machine)
        self._residuals = {c.name: Residual(self._explaining) for c in slow if is_explained(c, self._explaining)}
        self._scalar_schemas = {
            (c.name, specs): _schema(specs, c) for c in slow for specs in (SCALAR, SCALAR + RESIDUAL)
        }
        self._long = LongFeatures(machine, config or FeaturesConfig())
        self._lines = LineFeatures(machine)
        self._speed = ShaftSpeed(machine)
        self._plans: dict[tuple[float, str, int, float | None], WaveformPlan] = {}

    def extract(self, window: Window, wanted: Collection[str] = ()) -> list[FeatureRow]:
        """One row per channel that has samples, in the machine's order; dear features only where a model wants them.

        A waveform with a sample that is not finite, or of fewer than 64 samples, has no row, nor has one that says how
        the shaft turns (unit `pulse` or `rpm`): it is no vibration. Of a slow channel only the finite samples count.
        """
        rows = self._waveform_rows(window)
        _lengthen(rows, self._long.update(window, {n: r.schema for n, r in rows.items()}))
        _lengthen(rows, self._lines.update(window, {n: r.schema for n, r in rows.items()}, wanted))
        rows |= self._scalar_rows(window)
        return [rows[c.name] for c in self.machine.channels if c.name in rows]

    def _scalar_rows(self, window: Window) -> dict[str, FeatureRow]:
        time_s = window.time_ns * 1e-9
        found = {}
        for name, trend in self._trends.items():
            samples = window.samples.get(name)
            said = trend.update(time_s, samples) if samples is not None else None
            if said is not None:
                found[name] = list(said)
        levels = {n: f[0] for n, f in found.items() if not window.quality_of(n) & Quality.SENSOR_FAULT}
        if all(n in levels for n in self._explaining):
            causes = [levels[n] for n in self._explaining]
            for name, residual in self._residuals.items():
                unexplained = residual.update(levels[name], causes) if name in levels else None
                if unexplained is not None:
                    found[name].append(unexplained)
        rows = {}
        for name, values in found.items():
            schema = self._scalar_schemas[name, SCALAR if len(values) == len(SCALAR) else SCALAR + RESIDUAL]
            rows[name] = FeatureRow(
                name, Kind.SCALARS, schema, np.array(values, dtype=np.float32), window.quality_of(name)
            )
        return rows

    def new_baseline(self) -> None:
        """The machine was repaired: learn anew what explains its temperatures."""
        self._residuals = {name: Residual(self._explaining) for name in self._residuals}

    def dump(self) -> bytes:
        """What was learned, to be restored by `load` after a restart; rates and long measurements begin anew."""
        return msgspec.json.encode({name: r.state() for name, r in self._residuals.items()})

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave; what was learned from other channels than today's is learned anew."""
        state: dict[str, Any] = msgspec.json.decode(data)
        for name in self._residuals.keys() & state.keys():
            self._residuals[name].restore(state[name])

    def _waveform_rows(self, window: Window) -> dict[str, FeatureRow]:
        speed_rpm = self._speed.of(window)
        groups: dict[int, tuple[WaveformPlan, list[tuple[str, FloatArray]]]] = {}
        for name, channel in self._fast.items():
            samples = window.samples.get(name)
            if samples is not None and samples.size >= SHORTEST:
                plan = self._plan(channel, samples.size, speed_rpm)
                groups.setdefault(id(plan), (plan, []))[1].append((name, samples))
        rows = {}
        for plan, members in groups.values():
            with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is left out below
                values, valid = plan.compute(np.stack([s for _, s in members]).astype(np.float32, copy=False))
            for (name, _), row, ok in zip(members, values, valid, strict=True):
                if ok:
                    rows[name] = FeatureRow(name, Kind.FEATURES, plan.schema, row, window.quality_of(name))
        return rows

    def _plan(self, channel: Channel, samples: int, speed_rpm: float | None) -> WaveformPlan:
        key = (channel.rate_hz, channel.unit, samples, speed_rpm)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            plan = self._plans[key] = WaveformPlan(self.machine, channel, samples, speed_rpm)
        return plan


def _lengthen(rows: dict[str, FeatureRow], more: Mapping[str, tuple[Schema, FloatArray]]) -> None:
    for name, (schema, values) in more.items():
        joined = np.concatenate([rows[name].values, values])
        rows[name] = FeatureRow(name, Kind.FEATURES, schema, joined, rows[name].quality)


def _schema(specs: tuple[FeatureSpec, ...], channel: Channel) -> Schema:
    return Schema(tuple(s.id for s in specs), tuple(s.unit.replace("=", channel.unit) for s in specs))
