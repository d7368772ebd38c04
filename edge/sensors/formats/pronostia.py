"""PRONOSTIA (FEMTO-ST, IEEE PHM 2012): snapshots of two axes every 10 s until the bearing's end, and a thermometer.

`NAME_vib.parquet` has the clock of each snapshot and its samples in thousandths of g; `NAME_temp.parquet`, where there
is one, temperatures in thousandths of a degree at 10 Hz. The clock has no date; a day that ends is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.sensors.formats import columns, meta
from edge.sensors.formats.clock import DAY_S, DayClock
from edge.sensors.formats.options import Options, machine_name
from edge.sensors.recording import Reading, Recording
from edge.types import Channel, ChannelKind, FloatArray, Machine, Quality
from models.errors import RecordingRejected

VIBRATION, TEMPERATURE = "_vib.parquet", "_temp.parquet"
_AXES = {"horizontal": "horiz_mg", "vertical": "vert_mg"}
_CLOCK = ("hour", "minute", "second")
_RATE_HZ = 25_600.0
_EVERY_S = 10.0
_HOTTEST_C = 850.0  # IEC 60751: no Pt100 reads more; this rig says 1254 when its thermometer drops out
_ROWS = 64  # snapshots read at once: 1.3 MB


def recordings(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """The recording of one `_vib.parquet`; a bad thermometer or meta file is told, and done without."""
    with columns.open_parquet(path) as file:
        columns.require(path, file, [*_CLOCK, "us", *_AXES.values()])
        rate_hz = columns.rate_of(path, file) or _RATE_HZ
    name = path.name.removesuffix(VIBRATION)
    temperature: Path | None = path.with_name(name + TEMPERATURE)
    if temperature is not None and temperature.exists():
        try:
            _temperatures(temperature)
        except RecordingRejected as e:
            yield e
            temperature = None
    else:
        temperature = None
    speed_rpm: float | None = None
    bearing = None
    try:
        known = meta.load(path.parent)
        speed_rpm = meta.positive(meta.section(known, "bearings", name, "condition").get("rpm"))
        bearing = meta.bearing(path.parent, known)
    except RecordingRejected as e:
        yield e
    channels = [Channel(name=axis, kind=ChannelKind.WAVEFORM, unit="g", rate_hz=rate_hz) for axis in _AXES]
    if temperature is not None:
        channels.append(Channel(name="temperature", kind=ChannelKind.SCALAR, unit="C", rate_hz=10.0))
    machine = Machine(
        name=machine_name(name),
        machine_class=options.machine_class,
        channels=tuple(channels),
        speed_rpm=speed_rpm,
        bearing=bearing,
    )
    yield Recording(machine=machine, path=path, read=lambda: _read(path, temperature))


def _read(path: Path, temperature: Path | None) -> Iterator[Reading]:
    clock = DayClock(_EVERY_S)
    thermometer: _Thermometer | None = None
    names = [*_CLOCK, "us", *_AXES.values()]
    for first, batch in columns.batches(path, names, _ROWS):
        h, m, s, us = (columns.numbers(path, first, batch, c) for c in (*_CLOCK, "us"))
        of_day = h * 3600.0 + m * 60.0 + s + us * 1e-6
        axes = {axis: columns.lists(path, first, batch, column) for axis, column in _AXES.items()}
        for i in range(batch.num_rows):
            quality = clock.advance(float(of_day[i]))
            samples = {axis: _physical(rows[i]) for axis, rows in axes.items()}
            if temperature is not None and thermometer is None:
                thermometer = _Thermometer(*_temperatures(temperature), started=float(of_day[i]))
            faulty: frozenset[str] = frozenset()
            if thermometer is not None:
                degrees, dropped = thermometer.until(clock.offset_s)
                if degrees.size:
                    samples["temperature"] = degrees
                if dropped:
                    quality, faulty = quality | Quality.SENSOR_FAULT, frozenset({"temperature"})
            yield Reading(round(clock.offset_s * 1e9), samples, quality, faulty)


def _physical(counts: NDArray[np.integer]) -> FloatArray:
    return (counts * np.float64(0.001)).astype(np.float32)


def _temperatures(path: Path) -> tuple[NDArray[np.float64], FloatArray]:
    """Seconds of the day, counted on over midnight, and degrees Celsius."""
    times, degrees = [], []
    for first, batch in columns.batches(path, [*_CLOCK, "tenth", "temp_mC"], 1 << 16):
        h, m, s, tenth = (columns.numbers(path, first, batch, c) for c in (*_CLOCK, "tenth"))
        times.append(h * 3600.0 + m * 60.0 + s + tenth * 0.1)
        degrees.append(_physical(columns.numbers(path, first, batch, "temp_mC")))
    if not times:
        raise RecordingRejected("has no rows", where=str(path), mend="remove it to do without temperatures")
    of_day = np.concatenate(times)
    midnights = np.cumsum(np.diff(of_day, prepend=of_day[0]) < -DAY_S / 2)
    return of_day + midnights * DAY_S, np.concatenate(degrees)


class _Thermometer:
    """Hands out temperatures as their time comes; what no Pt100 can read is left out and counted."""

    def __init__(self, of_day: NDArray[np.float64], degrees: FloatArray, *, started: float) -> None:
        lead = (of_day[0] - started + DAY_S / 2) % DAY_S - DAY_S / 2
        self._offsets = np.maximum.accumulate(of_day - of_day[0]) + lead
        self._degrees = degrees
        self._next = 0

    def until(self, offset_s: float) -> tuple[FloatArray, int]:
        """The valid samples since the last call up to `offset_s`, and how many were dropped."""
        end = int(np.searchsorted(self._offsets, offset_s, side="right"))
        taken = self._degrees[self._next : end]
        self._next = max(end, self._next)
        valid = taken[np.abs(taken) <= _HOTTEST_C]
        return valid, taken.size - valid.size
