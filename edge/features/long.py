"""The features of a long measurement: velocity, shaft orders, and every so often the kurtogram.

They cost one long transform in float64 a channel, once a long measurement, so a window in between costs nothing more.
What a channel's unit, the machine's speed or its other channels don't allow is absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features import orders
from edge.features.config import FeaturesConfig
from edge.features.joined import Joiner, seconds_needed
from edge.features.kurtogram import Kurtogram
from edge.features.speed import PULSE, RPM, TURNING
from edge.features.velocity import VelocityRms, has_velocity, measurable
from edge.types import Channel, ChannelKind, FloatArray, Machine, Schema, Window
from models.features import KURTOGRAM, ORDER_RMS, ORDER_VELOCITY, TRACKED_ORDER, VELOCITY, FeatureSpec

Values = list[tuple[FeatureSpec, float]]
_KEPT = 8  # lengths whose weights are kept; with a schedule there is one for each rate


class LongFeatures:
    """Takes every window of a machine and says more where one completes a long measurement."""

    def __init__(self, machine: Machine, config: FeaturesConfig) -> None:
        self._joiner = Joiner(machine, seconds_needed(machine, config.long_seconds))
        self._fast = {c.name: c for c in machine.channels if c.kind is ChannelKind.WAVEFORM and c.unit not in TURNING}
        self._turning = [c for c in machine.channels if c.unit in TURNING]
        self._shaft_hz = machine.speed_rpm / 60.0 if machine.speed_rpm else None
        self._every = config.kurtogram_every
        self._measured = 0
        self._kurtograms: dict[tuple[int, float], Kurtogram] = {}
        self._velocities: dict[tuple[int, float, str], VelocityRms] = {}
        self._schemas: dict[tuple[str, int, tuple[str, ...]], Schema] = {}

    def update(self, window: Window, begun: Mapping[str, Schema]) -> dict[str, tuple[Schema, FloatArray]]:
        """By channel the schema that goes on where the one in `begun` ends, and the values that it adds.

        `begun` has the channels whose features of this window were computed: another one gets nothing.
        """
        joined = self._joiner.add(window)
        if joined is None:
            return {}
        turn = bool(self._every) and self._measured % self._every == 0
        self._measured += 1
        turning = self._where_the_shaft_was(joined)
        steady = self._steady(joined, turning)
        found = {}
        for name in [n for n in joined if n in begun and n in self._fast]:
            samples = joined[name]
            if np.isfinite(samples).all():
                missing = VELOCITY[0].id not in begun[name].columns  # a window of a second has it already
                channel = self._fast[name]
                more = self._channel(channel, samples, steady, turning, wants_velocity=missing, kurtogram=turn)
                if more:
                    schema = self._schema(self._fast[name], begun[name], [s for s, _ in more])
                    found[name] = (schema, np.array([v for _, v in more], dtype=np.float32))
        return found

    def _channel(
        self,
        channel: Channel,
        samples: FloatArray,
        shaft_hz: float | None,
        turning: tuple[orders.Array, orders.Array] | None,
        *,
        wants_velocity: bool,
        kurtogram: bool,
    ) -> Values:
        n, rate, unit = samples.size, channel.rate_hz, channel.unit
        x = samples.astype(np.float64)[None]
        x -= x.mean()
        lines: NDArray[np.complex128] = np.fft.rfft(x)
        values: Values = []
        if wants_velocity and measurable(n, rate, unit):
            values.append((VELOCITY[0], float(self._velocity(n, rate, unit)(lines)[0])))
        if shaft_hz is not None and orders.measurable(n, rate, shaft_hz):
            specs = ORDER_VELOCITY if has_velocity(unit) else ORDER_RMS
            amplitudes = orders.order_amplitudes(lines, n, rate, shaft_hz, unit)[0]
            values += zip(specs, amplitudes.tolist(), strict=True)
        if turning is not None:
            tracked = orders.tracked_orders(x, rate, turning)
            values += zip(TRACKED_ORDER, tracked[0].tolist(), strict=True) if tracked is not None else ()
        if kurtogram:
            values += zip(KURTOGRAM, self._kurtogram(n, rate)(lines)[0].tolist(), strict=True)
        return values

    def _where_the_shaft_was(self, joined: Mapping[str, FloatArray]) -> tuple[orders.Array, orders.Array] | None:
        """Times and turns by the first channel that knows, a tachometer before a speed."""
        for channel in sorted(self._turning, key=lambda c: c.unit != PULSE):
            samples = joined.get(channel.name)
            if samples is None or not np.isfinite(samples).all():
                continue
            of = orders.revolutions_of_pulses if channel.unit == PULSE else orders.revolutions_of_speed
            found = of(samples, channel.rate_hz)
            if found is not None:
                return found
        return None

    def _steady(
        self, joined: Mapping[str, FloatArray], turning: tuple[orders.Array, orders.Array] | None
    ) -> float | None:
        """The configured speed in Hz; None when it is not known, or the measured one was ever off by more than 2 %."""
        if self._shaft_hz is None:
            return None
        measured = [joined[c.name] / 60.0 for c in self._turning if c.unit in RPM and c.name in joined]
        if turning is not None:
            measured.append(np.diff(turning[1]) / np.diff(turning[0]))
        off = [np.abs(np.abs(m) - self._shaft_hz).max() for m in measured]
        return None if any(not o <= orders.SLIP * self._shaft_hz for o in off) else self._shaft_hz

    def _velocity(self, samples: int, rate_hz: float, unit: str) -> VelocityRms:
        key = (samples, rate_hz, unit)
        if key not in self._velocities:
            _make_room(self._velocities)
            self._velocities[key] = VelocityRms(samples, rate_hz, unit)
        return self._velocities[key]

    def _kurtogram(self, samples: int, rate_hz: float) -> Kurtogram:
        key = (samples, rate_hz)
        if key not in self._kurtograms:
            _make_room(self._kurtograms)
            self._kurtograms[key] = Kurtogram(samples, rate_hz)
        return self._kurtograms[key]

    def _schema(self, channel: Channel, begun: Schema, more: list[FeatureSpec]) -> Schema:
        key = (channel.unit, begun.id, tuple(s.id for s in more))
        if key not in self._schemas:
            _make_room(self._schemas)
            units = tuple(s.unit.replace("=", channel.unit) for s in more)
            self._schemas[key] = Schema(begun.columns + key[2], begun.units + units)
        return self._schemas[key]


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= _KEPT:
        kept.clear()
