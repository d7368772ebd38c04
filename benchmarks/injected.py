"""Sensor faults put into healthy simulated machines, and failing machines with sound sensors: who is called what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np

from edge.detection import Detector
from edge.features import Extractor
from edge.sensors.simulator import AXES, Simulator
from edge.types import Alarm, FloatArray, Window

Samples = dict[str, FloatArray]
Injection = Callable[[Samples, np.random.Generator], None]
BEFORE, WITH = 200, 60  # windows before the fault, and with it
HEARD = AXES[0]


def _dead(samples: Samples, rng: np.random.Generator) -> None:
    samples[HEARD] = np.zeros_like(samples[HEARD])


def _stuck(samples: Samples, rng: np.random.Generator) -> None:
    """The converter holds its value from somewhere in the first third on."""
    x = samples[HEARD] = samples[HEARD].copy()
    at = int(rng.integers(0, x.size // 3))
    x[at:] = x[at]


def _clipped(samples: Samples, rng: np.random.Generator) -> None:
    x = samples[HEARD]
    end = np.float32(rng.uniform(0.8, 1.8) * x.std())
    samples[HEARD] = x.clip(-end, end)


def _intermittent(samples: Samples, rng: np.random.Generator) -> None:
    """In two windows of three the contact is lost 2 to 4 times for 6 to 12 ms; 0.3 % of the noise is left."""
    if rng.uniform() < 1 / 3:
        return
    x = samples[HEARD] = samples[HEARD].copy()
    for part in rng.choice(5, int(rng.integers(2, 5)), replace=False).tolist():
        first = part * (x.size // 5) + int(rng.integers(0, 100))
        lost = slice(first, first + int(rng.integers(160, 300)))
        x[lost] = 0.003 * x.std() * rng.standard_normal(x[lost].size)


def _swapped(samples: Samples, rng: np.random.Generator) -> None:
    samples[AXES[0]], samples[AXES[1]] = samples[AXES[1]], samples[AXES[0]]


def _spikes(samples: Samples, rng: np.random.Generator) -> None:
    """In two windows of three, 1 to 4 single samples of 30 to 100 times the RMS."""
    if rng.uniform() < 1 / 3:
        return
    x = samples[HEARD] = samples[HEARD].copy()
    for at in rng.integers(0, x.size, int(rng.integers(1, 5))).tolist():
        x[at] = rng.choice((-1.0, 1.0)) * rng.uniform(30.0, 100.0) * samples[HEARD].std()


def _dropout(samples: Samples, rng: np.random.Generator) -> None:
    """The open thermocouple: 1254 C for single readings in two windows of three."""
    if rng.uniform() < 1 / 3:
        return
    t = samples["temperature"] = samples["temperature"].copy()
    t[int(rng.integers(0, t.size))] = 1254.0


def _times(factor: float) -> Injection:
    def wrong(samples: Samples, rng: np.random.Generator) -> None:
        samples[HEARD] = samples[HEARD] * np.float32(factor)

    return wrong


INJECTIONS: dict[str, Injection] = {
    "dead": _dead,
    "stuck": _stuck,
    "clipped": _clipped,
    "loose contact": _intermittent,
    "swapped axes": _swapped,
    "spikes": _spikes,
    "drop-outs to 1254 C": _dropout,
    "unit x 9.81": _times(9.81),
    "unit x 1000": _times(1000.0),
    "unit / 1000": _times(0.001),
}


def sensor_fault(task: tuple[str, int]) -> tuple[str, bool, bool]:
    """(name, seed) -> name, whether a sensor was called faulty once the fault was there, whether the machine was."""
    name, seed = task
    simulator = Simulator(f"sensor-{seed}", seed, "none", speed=None, regimes=True)
    rng = np.random.default_rng([seed, *name.encode()])
    extractor, detector = Extractor(simulator.machine), Detector(simulator.machine)
    told: list[tuple[int, Alarm]] = []
    for i, window in enumerate(islice(simulator.windows(), BEFORE + WITH)):
        checked = _spoiled(window, INJECTIONS[name], rng) if i >= BEFORE else window
        checked = detector.check(checked)
        told += [(i, a) for a in detector.update(checked, extractor.extract(checked))[1]]
    early = any(i < BEFORE for i, _ in told)
    return name, not early and any(a.part == "sensor" for _, a in told), any(a.part != "sensor" for _, a in told)


def _spoiled(window: Window, injection: Injection, rng: np.random.Generator) -> Window:
    samples = dict(window.samples)
    injection(samples, rng)
    return replace(window, samples=samples)


def machine_fault(task: tuple[str, int, bool]) -> tuple[str, bool, bool, float]:
    """(fault, seed, regimes) -> fault, machine raised, sensor called faulty, first alarm as a share of life, 1 none."""
    fault, seed, regimes = task
    windows = 2160 if regimes else 300
    simulator = Simulator(f"failing-{seed}", seed, fault, 10.0 * windows, speed=None, regimes=regimes)
    extractor, detector = Extractor(simulator.machine), Detector(simulator.machine)
    first, sensor = windows, False
    for i, window in enumerate(simulator.windows()):
        checked = detector.check(window)
        for alarm in detector.update(checked, extractor.extract(checked))[1]:
            sensor |= alarm.part == "sensor"
            first = min(first, i) if alarm.part != "sensor" else first
    return fault, first < windows, sensor, first / windows
