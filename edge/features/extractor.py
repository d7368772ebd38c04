"""From a window to rows of features: channels of one rate and length are computed together.

The plan of a channel is fixed by its configuration and its window's length, so equal windows give equal schemas.
"""

from __future__ import annotations

import numpy as np

from edge.features.scalar import Trend
from edge.features.waveform import SHORTEST, WaveformPlan
from edge.types import Channel, ChannelKind, FeatureRow, FloatArray, Kind, Machine, Schema, Window
from models.features import SCALAR

_PLANS_KEPT = 16  # lengths a channel may have at a time; a recording has one, and a shorter last window


class Extractor:
    """The features of one machine, window by window; keeps only what the rates of slow channels need."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        slow = [c for c in machine.channels if c.kind is ChannelKind.SCALAR]
        self._fast = {c.name: c for c in machine.channels if c.kind is ChannelKind.WAVEFORM}
        self._trends = {c.name: Trend() for c in slow}
        self._scalar_schemas = {
            c.name: Schema(tuple(s.id for s in SCALAR), tuple(s.unit.replace("=", c.unit) for s in SCALAR))
            for c in slow
        }
        self._plans: dict[tuple[float, str, int], WaveformPlan] = {}

    def extract(self, window: Window) -> list[FeatureRow]:
        """One row per channel that has samples, in the machine's order.

        A waveform with a sample that is not finite, or of fewer than 64 samples, has no row; of a slow channel only
        the finite samples count.
        """
        rows = self._waveform_rows(window)
        time_s = window.time_ns * 1e-9
        for name, trend in self._trends.items():
            samples = window.samples.get(name)
            found = trend.update(time_s, samples) if samples is not None else None
            if found is not None:
                values = np.array(found, dtype=np.float32)
                schema = self._scalar_schemas[name]
                rows[name] = FeatureRow(name, Kind.SCALARS, schema, values, window.quality_of(name))
        return [rows[c.name] for c in self.machine.channels if c.name in rows]

    def _waveform_rows(self, window: Window) -> dict[str, FeatureRow]:
        groups: dict[int, tuple[WaveformPlan, list[tuple[str, FloatArray]]]] = {}
        for name, channel in self._fast.items():
            samples = window.samples.get(name)
            if samples is not None and samples.size >= SHORTEST:
                plan = self._plan(channel, samples.size)
                groups.setdefault(id(plan), (plan, []))[1].append((name, samples))
        rows = {}
        for plan, members in groups.values():
            with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is left out below
                values, valid = plan.compute(np.stack([s for _, s in members]).astype(np.float32, copy=False))
            for (name, _), row, ok in zip(members, values, valid, strict=True):
                if ok:
                    rows[name] = FeatureRow(name, Kind.FEATURES, plan.schema, row, window.quality_of(name))
        return rows

    def _plan(self, channel: Channel, samples: int) -> WaveformPlan:
        key = (channel.rate_hz, channel.unit, samples)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            plan = self._plans[key] = WaveformPlan(self.machine, channel, samples)
        return plan
