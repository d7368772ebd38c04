"""A rotating machine that wears out, made up: everything it says is marked `simulated`.

Deterministic: one name and seed give the same windows, sample by sample. Noise is drawn once and read from random
offsets, and strikes are copies of one ringing response, so that a window costs a fraction of a millisecond.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from edge.bearing.frequencies import fault_frequencies
from edge.sensors import RECORDING_START_NS
from edge.sensors.faults import FAULTS, HEALTHY_ORDERS, IMPACTS, SHAFT_ORDERS, severity
from edge.sensors.pace import Pace
from edge.sensors.regimes import Regimes
from edge.types import Bearing, Channel, ChannelKind, Machine, Window
from models.errors import ConfigurationError

FloatArray = NDArray[np.float32]
AXES = ("horizontal", "vertical")
BEARING_6205 = Bearing(balls=9, ball_diameter=7.94, pitch_diameter=39.04)
_NOISE_LENGTH = 1 << 16
_TEMPERATURE_HZ = 1.0
_DRIVE = (("speed", "rpm"), ("load", "%"))
_DRIVE_HZ = 0.1
_SOFTER_AXIS = 0.6  # what one axis hears of the other's vibration where stiffness differs
_MEDIAN_LIFE_WINDOWS = 900


class Simulator:
    """A bearing on a shaft, heard by two accelerometers and a thermometer."""

    def __init__(
        self,
        name: str,
        seed: int = 0,
        fault: str = "outer_race",
        life_s: float | None = None,
        every_s: float = 10.0,
        *,
        speed: float | None = 1.0,
        start_ns: int | None = None,
        machine_class: str = "bearing",
        line: str = "",
        speed_rpm: float = 1800.0,
        rate_hz: float = 25_600.0,
        samples: int = 2560,
        clock_ns: Callable[[], int] = time.time_ns,
        pace: Pace | None = None,
        regimes: bool = False,
    ) -> None:
        """`fault` is one of FAULTS; `none` never ends. Without `life_s` the life is random, around 900 windows.

        `speed` 1 is real time, None as fast as possible. Without `start_ns` real time starts now, any other speed on
        2020-01-01. With `regimes` speed and load change as a plant would change them, each a slow channel of its own,
        and the axes differ in stiffness. ConfigurationError when an argument makes no machine.
        """
        window_s = samples / rate_hz if rate_hz > 0 else math.inf
        _check(name, seed=seed, fault=fault, life_s=life_s, every_s=every_s, window_s=window_s)
        self.fault = fault
        self.every_s = every_s
        self.machine = Machine(
            name=name,
            machine_class=machine_class,
            channels=(
                *(Channel(name=a, kind=ChannelKind.WAVEFORM, unit="g", rate_hz=rate_hz) for a in AXES),
                Channel(name="temperature", kind=ChannelKind.SCALAR, unit="C", rate_hz=_TEMPERATURE_HZ),
                *(Channel(name=n, kind=ChannelKind.SCALAR, unit=u, rate_hz=_DRIVE_HZ) for n, u in _DRIVE if regimes),
            ),
            speed_rpm=speed_rpm,
            bearing=BEARING_6205,
            line=line,
            simulated=True,
        )
        self._samples, self._rate_hz, self._shaft_hz = samples, rate_hz, speed_rpm / 60.0
        self.regimes = Regimes(seed) if regimes else None
        self._pace = pace or Pace(speed)
        self._start_ns = start_ns if start_ns is not None else clock_ns() if speed == 1.0 else RECORDING_START_NS
        self._after_ns: int | None = None
        self._rng = np.random.default_rng([seed, *name.encode()])
        self._draw_machine(life_s)

    @property
    def start_ns(self) -> int:
        """Event time of the first window."""
        return self._start_ns

    @property
    def failure_ns(self) -> int | None:
        """Event time at which the machine has failed, the label of this life; None for one that never does."""
        if self.life_windows is None:
            return None
        return self._start_ns + round(self.life_windows * self.every_s * 1e9)

    def _draw_machine(self, life_s: float | None) -> None:
        """What makes this machine itself: its life, noise, resonance, phases and temper."""
        rng = self._rng
        random_life = _MEDIAN_LIFE_WINDOWS * math.exp(0.35 * rng.standard_normal())
        windows = random_life if life_s is None else life_s / self.every_s
        self.life_windows = None if self.fault == "none" else max(int(windows), 1)
        self._onset = rng.uniform(0.35, 0.7)
        self._steepness = rng.uniform(4.0, 7.0)
        self._strength = rng.uniform(0.7, 1.4)
        white = rng.standard_normal(max(_NOISE_LENGTH, 8 * self._samples), dtype=np.float32)
        self._noise = (0.7 * white + 0.7 * np.roll(white, 1)).astype(np.float32) * np.float32(rng.uniform(0.15, 0.3))
        self._phases = rng.uniform(0, 2 * np.pi, (2, 8)).astype(np.float32)
        self._sway = rng.uniform(0, 2 * np.pi, 3)
        self._response = self._ringing(rng.uniform(0.12, 0.2) * self._rate_hz)
        self._ambient_c = rng.uniform(18.0, 30.0)
        self._temperature_c = self._ambient_c + 20.0
        self._clock_s = np.arange(self._samples, dtype=np.float32) / np.float32(self._rate_hz)

    def _ringing(self, resonance_hz: float) -> FloatArray:
        """(2, m): what one strike of 1 g sets off in each axis, an exponentially decaying oscillation."""
        decay_s = 6.0 / resonance_hz
        t = np.arange(min(int(8 * decay_s * self._rate_hz), self._samples)) / self._rate_hz
        one = np.exp(-t / decay_s) * np.sin(2 * np.pi * resonance_hz * t)
        other = 0.6 * np.exp(-t / decay_s) * np.sin(2 * np.pi * 1.13 * resonance_hz * t)
        return np.stack([one, other]).astype(np.float32)

    def resume(self, after_ns: int) -> None:
        """Draw again what was taken, since what follows depends on it, without waiting for its time."""
        self._after_ns = after_ns

    def windows(self) -> Iterator[Window]:
        """One window every `every_s` until the machine fails or the sensor is closed."""
        index = 0
        while self.life_windows is None or index < self.life_windows:
            taken = self._after_ns is not None and self._time_ns(index) <= self._after_ns
            if not (self._pace.open if taken else self._pace.until(index * self.every_s)):
                return
            window = self.window(index)
            if not taken:
                yield window
            index += 1

    def close(self) -> None:
        """End `windows`."""
        self._pace.close()

    def severity(self, index: int) -> float:
        """How far the fault of window `index` has grown, 0 to 1."""
        if self.life_windows is None:
            return 0.0
        return severity((index + 1) / self.life_windows, self._onset, self._steepness)

    def window(self, index: int) -> Window:
        """The window of any index; what it holds depends on how many were drawn before."""
        at_s = index * self.every_s
        sway = np.sin(2 * np.pi * at_s / np.array([1700.0, 5300.0, 86_400.0]) + self._sway)
        grown = self.severity(index) * self._strength * math.exp(0.08 * self._rng.standard_normal())
        shaft_hz = self._shaft_hz * (1.0 + 0.004 * sway[0] + 0.001 * self._rng.standard_normal())
        load = 1.0 + 0.08 * sway[1] + 0.02 * self._rng.standard_normal()
        turning, loaded = (1.0, 1.0) if self.regimes is None else (float(v) for v in self.regimes.at(at_s))
        signal = self._background(grown) * np.float32(turning)
        self._add_orders(signal, shaft_hz * turning, grown, turning**2)
        self._add_impacts(signal, shaft_hz * turning, grown)
        signal *= np.float32(load * math.sqrt(loaded))
        if self.regimes is not None:
            signal[1] *= np.float32(_SOFTER_AXIS)
        samples = {axis: signal[i] for i, axis in enumerate(AXES)}
        samples["temperature"] = self._temperature(load * loaded, grown, float(sway[2]))
        if self.regimes is not None:
            drive = (shaft_hz * turning * 60.0, loaded * 100.0)
            samples |= {n: np.array([v], np.float32) for (n, _), v in zip(_DRIVE, drive, strict=True)}
        return Window(machine=self.machine.name, time_ns=self._time_ns(index), samples=samples)

    def _time_ns(self, index: int) -> int:
        return self._start_ns + round(index * self.every_s * 1e9)

    def _background(self, grown: float) -> FloatArray:
        """(2, samples) noise; a failing bearing grinds, a loose machine rattles."""
        n = self._samples
        offsets = self._rng.integers(0, self._noise.size - n, 2)
        loud = 1.0 + (1.5 if self.fault in IMPACTS else 0.8 if self.fault == "looseness" else 0.1) * grown
        return np.stack([self._noise[o : o + n] for o in offsets]) * np.float32(loud)

    def _add_orders(self, signal: FloatArray, shaft_hz: float, grown: float, gain: float) -> None:
        orders = dict(HEALTHY_ORDERS)
        for order, amplitude in SHAFT_ORDERS.get(self.fault, {}).items():
            orders[order] = orders.get(order, 0.0) + amplitude * grown
        turn = np.exp(np.complex64(2j * np.pi * shaft_hz) * self._clock_s + np.complex64(1j * self._start_angle()))
        power = np.ones_like(turn)
        for order in range(1, max(orders) + 1):
            power = power * turn
            if order in orders:
                phases = np.exp(1j * self._phases[:, order]).astype(np.complex64) * np.float32(orders[order] * gain)
                signal += (phases[:, None] * power).real

    def _start_angle(self) -> float:
        return float(self._rng.uniform(0, 2 * np.pi))

    def _add_impacts(self, signal: FloatArray, shaft_hz: float, grown: float) -> None:
        """Strikes from before the window's start, so that their ringing reaches in, to its end."""
        kind = IMPACTS.get(self.fault)
        if kind is None or grown == 0.0:
            return
        response = self._response
        hz = fault_frequencies(BEARING_6205, shaft_hz * 60.0)
        reach_s = response.shape[1] / self._rate_hz
        duration_s = self._samples / self._rate_hz
        count = int((duration_s + reach_s) * hz[kind.line] * 1.05) + 2
        gaps = (1.0 + 0.01 * self._rng.standard_normal(count)) / hz[kind.line]  # 1 % slip from strike to strike
        at_s = np.cumsum(gaps) - self._rng.uniform() / hz[kind.line] - reach_s
        carrier_hz = {"shaft": shaft_hz, "cage": hz["ftf"], "none": 0.0}[kind.modulation]
        carried = 1.0 - kind.depth * (0.5 - 0.5 * np.cos(2 * np.pi * carrier_hz * at_s + self._start_angle()))
        peaks = kind.peak * grown * carried * (1.0 + 0.1 * self._rng.standard_normal(count))
        for start, peak in zip(np.round(at_s * self._rate_hz).astype(int).tolist(), peaks.tolist(), strict=True):
            first, end = max(start, 0), min(start + response.shape[1], self._samples)
            if first < end:
                signal[:, first:end] += np.float32(peak) * response[:, first - start : end - start]

    def _temperature(self, load: float, grown: float, day: float) -> FloatArray:
        """Follows load and friction with a time constant of 20 minutes, and the day's ambient."""
        target = self._ambient_c + 4.0 * day + 22.0 * load + 35.0 * grown * (self.fault in IMPACTS)
        before = self._temperature_c
        self._temperature_c += (target - before) * (1.0 - math.exp(-self.every_s / 1200.0))
        count = max(int(self.every_s * _TEMPERATURE_HZ), 1)
        noise = 0.05 * self._rng.standard_normal(count)
        return (np.linspace(before, self._temperature_c, count) + noise).astype(np.float32)


def _check(name: str, *, seed: int, fault: str, life_s: float | None, every_s: float, window_s: float) -> None:
    if fault not in FAULTS:
        raise ConfigurationError(
            f"there is no fault {fault!r}", where=f"simulator {name}", mend=f"use one of {', '.join(FAULTS)}"
        )
    if seed < 0:
        raise ConfigurationError(f"the seed is {seed}", where=f"simulator {name}", mend="give a seed of 0 or more")
    if not every_s > 0 or not 0 < window_s <= every_s:
        raise ConfigurationError(
            f"windows of {window_s:g} s every {every_s:g} s overlap or are empty",
            where=f"simulator {name}",
            mend="measure at most `every_s` long",
        )
    if life_s is not None and not life_s > 0:
        raise ConfigurationError(f"a life of {life_s:g} s", where=f"simulator {name}", mend="give a life above 0 s")
