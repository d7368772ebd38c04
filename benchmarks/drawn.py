"""Machine-years of features, drawn: too many windows to simulate each waveform.

Method. For each machine, 3,000 windows (150 random times of its year, 20 in a row) are simulated and go through the
edge's own feature code. The mean of each feature's logarithm is fitted by least squares on a cubic in log speed, a
quadratic in log load, and sines at the periods at which the simulator sways. What is left over, for both axes and all
features of 20 windows in a row together, is kept as it is and drawn again with replacement (a block bootstrap): so
correlations between features, axes and neighbouring windows are kept. Speed and load follow the machine's own course.
`agreement` compares draws with windows that the fit has not seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.features import Extractor
from edge.sensors.regimes import Regimes
from edge.sensors.simulator import AXES, Simulator
from edge.types import FeatureRow, Kind, Schema, Window
from models.features import BEARING, SCALAR

Array = NDArray[np.float64]
EVERY_S = 10.0
YEAR_WINDOWS = int(365.25 * 86_400 / EVERY_S)
_SWAY_S = (1700.0, 5300.0)  # the simulator's slow waves in speed and load that its channels do not show
_CHUNK = 8192
_BLOCK = 20  # consecutive windows that are simulated, and drawn, together
_SLOW = Schema(tuple(s.id for s in SCALAR), ("=", "=/min"))
_LINES = frozenset(s.id for s in BEARING)  # not judged, and some come at some speeds only
QUANTILES = (0.01, 0.5, 0.99)


class DrawnMachine:
    """A healthy simulated machine at changing speed and load whose windows cost microseconds."""

    def __init__(self, seed: int, fitted_on: int = 3000) -> None:
        self.simulator = Simulator(f"drawn-{seed}", seed, "none", speed=None, regimes=True)
        self.machine = self.simulator.machine
        assert self.simulator.regimes is not None
        self.regimes: Regimes = self.simulator.regimes
        self._rng = np.random.default_rng([seed, *b"drawn"])
        self._extractor = Extractor(self.machine)
        times, logs = self.simulated(fitted_on)
        basis = self._basis(times)
        self._weights = np.linalg.lstsq(basis, logs, rcond=None)[0]
        self._residuals = logs - basis @ self._weights

    def simulated(self, count: int) -> tuple[Array, Array]:
        """Times (n,) in seconds, and the logarithms (n, 2 F) of windows simulated there, both axes side by side."""
        starts = np.sort(self._rng.integers(0, YEAR_WINDOWS, count // _BLOCK))
        index = (starts[:, None] + np.arange(_BLOCK)).ravel()
        logs = []
        for i in index.tolist():
            rows = {r.channel: r for r in self._extractor.extract(self.simulator.window(i))}
            whole = rows[AXES[0]].schema
            kept = [k for k, c in enumerate(whole.columns) if c not in _LINES]
            self.schema = Schema(tuple(whole.columns[k] for k in kept), tuple(whole.units[k] for k in kept))
            logs.append(np.concatenate([rows[a].values[kept] for a in AXES]))
        return index * EVERY_S, np.log(np.maximum(np.abs(np.array(logs, np.float64)), 1e-12))

    def _basis(self, times: Array) -> Array:
        speed, load = (np.log(v) for v in self.regimes.at(times))
        waves = [f(2 * np.pi * times / p) for p in _SWAY_S for f in (np.sin, np.cos)]
        columns = [np.ones_like(speed), speed, speed**2, speed**3, load, load**2, speed * load, *waves]
        return np.stack(columns, axis=1)

    def drawn(self, times: Array) -> Array:
        """(n,) seconds -> (n, 2 F) logarithms."""
        starts = _BLOCK * self._rng.integers(0, len(self._residuals) // _BLOCK, -(-times.size // _BLOCK))
        chosen = (starts[:, None] + np.arange(_BLOCK)).ravel()[: times.size]
        logs: Array = self._basis(times) @ self._weights + self._residuals[chosen]
        return logs

    def agreement(self, count: int = 1000) -> dict[str, float]:
        """The largest distance, over features and axes, of drawn from simulated quantiles, in logarithms."""
        times, real = self.simulated(count)
        drawn = self.drawn(np.repeat(times, 20))
        apart = np.abs(np.quantile(real, QUANTILES, axis=0) - np.quantile(drawn, QUANTILES, axis=0))
        strong = [i for i, f in enumerate(2 * self.schema.columns) if not f.startswith("skewness")]
        return {f"{q:g}": float(a[strong].max()) for q, a in zip(QUANTILES, apart, strict=True)}

    def windows(self, count: int, first: int = 0) -> Iterator[tuple[Window, list[FeatureRow]]]:
        """`count` windows in a row, as the loop would hand them on, without samples."""
        for start in range(first, first + count, _CHUNK):
            index = np.arange(start, min(start + _CHUNK, first + count))
            times = index * EVERY_S
            values = np.exp(self.drawn(times)).astype(np.float32).reshape(index.size, 2, -1)
            speed, load = self.regimes.at(times)
            slow = np.zeros((2, index.size, 2), np.float32)
            slow[0, :, 0], slow[1, :, 0] = speed * (self.machine.speed_rpm or 0.0), load * 100.0
            for i, at in enumerate((times * 1e9).astype(np.int64).tolist()):
                rows = [FeatureRow(a, Kind.FEATURES, self.schema, values[i, k]) for k, a in enumerate(AXES)]
                rows += [FeatureRow(n, Kind.SCALARS, _SLOW, slow[k, i]) for k, n in enumerate(("speed", "load"))]
                yield Window(machine=self.machine.name, time_ns=at, samples={}), rows

    def blind(self) -> Any:
        """The same machine for a detector that has no channels of speed and load."""
        kept = tuple(c for c in self.machine.channels if c.name not in ("speed", "load"))
        return dataclasses.replace(self.machine, channels=kept)
