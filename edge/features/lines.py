"""What a diagnosis reads of a window: the bearing's lines in the last unbroken samples, and the spectrum's profile.

They cost some 10 ms a channel, so they are made only for a model that reads them. Prefix only: a window's row speaks of
the samples up to its end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from edge.features.envelope_diagnosis import found_lines
from edge.features.recent import Recent
from edge.features.speed import ShaftSpeed
from edge.types import FloatArray, Machine, Quality, Schema, Window
from models.features import DIAGNOSED, PROFILE

_COLUMNS = tuple(s.id for s in DIAGNOSED)
_UNITS = tuple(s.unit for s in DIAGNOSED)
_HIGHEST = 0.8  # of Nyquist
_SMALLEST = 1e-12  # of the strongest line: a silent band must stay finite
_SCHEMAS_KEPT = 16  # one for each length of window and what else a row has


class LineFeatures:
    """Remembers the last samples of a machine whose geometry and speed are known, and says how its lines stand out."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._speed = ShaftSpeed(machine)
        self._recent: Recent | None = None  # begun when they are first wanted: it holds up to 1 MiB a channel
        self._schemas: dict[int, Schema] = {}

    def update(
        self, window: Window, begun: Mapping[str, Schema], wanted: Collection[str]
    ) -> dict[str, tuple[Schema, FloatArray]]:
        """By channel the schema that goes on where the one in `begun` ends, and the values that it adds.

        Nothing where no wanted feature is one of these, or where the samples are too few yet.
        """
        m = self._machine
        if m.bearing is None or not self._speed.known or not set(_COLUMNS) & set(wanted):
            self._recent = None
            return {}
        if self._recent is None:
            self._recent = Recent(m)
        marked = [n for n in window.samples if window.quality_of(n) & Quality.SENSOR_FAULT]
        now_rpm = self._speed.of(window)
        self._recent.add(window, now_rpm, marked)
        if now_rpm is None or self._recent.speed_rpm is None:
            return {}
        found = {}
        for name, (rate_hz, stretches) in self._recent.stretches().items():
            lines = found_lines(stretches, rate_hz, m.bearing, self._recent.speed_rpm) if name in begun else None
            if lines is not None:
                values = [*(f.prominence for f in lines), *(f.rival for f in lines), *profile(window.samples[name])]
                found[name] = (self._schema(begun[name]), np.array(values, dtype=np.float32))
        return found

    def _schema(self, begun: Schema) -> Schema:
        if begun.id not in self._schemas:
            if len(self._schemas) >= _SCHEMAS_KEPT:
                self._schemas.clear()
            self._schemas[begun.id] = Schema(begun.columns + _COLUMNS, begun.units + _UNITS)
        return self._schemas[begun.id]


def profile(samples: FloatArray) -> NDArray[np.float64]:
    """(n,) -> (8,): ln(power) of the bands of `models.features.PROFILE`, less their mean; a gain drops out."""
    x = samples.astype(np.float64)
    power = np.square(np.abs(np.fft.rfft((x - x.mean()) * np.hanning(x.size))))
    power = power[: int(_HIGHEST * power.size)] / power.max(initial=_SMALLEST)
    edges = np.linspace(1, power.size, len(PROFILE) + 1).astype(np.intp)[:-1]
    bands: NDArray[np.float64] = np.log(np.add.reduceat(power, edges) + _SMALLEST)
    centred: NDArray[np.float64] = bands - bands.mean()
    return centred
