"""The sensors: what arrives from them while they are listened to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from edge.detection.sensors import CLIPPED, DEAD, DROPOUT, INTERMITTENT, SPIKES, STUCK, waveform_fault
from edge.doctor.types import Facts, Finding, Level, SensorFacts
from edge.features import Extractor
from edge.features.scalar import CELSIUS
from edge.features.speed import TURNING, ShaftSpeed
from edge.features.velocity import has_velocity
from edge.types import Channel, ChannelKind, FloatArray
from models.features import VELOCITY

LEAST_SAMPLES = 1_024  # 25 Hz between lines at 25.6 kHz
RATE_TOLERANCE = 0.005  # a bearing's lines are told apart at 1 %
PLAUSIBLE_C = (-60.0, 400.0)
_F, _H = Level.FAULT, Level.HINT


def source_unusable(facts: Facts) -> Iterator[Finding]:
    """It cannot be opened or read."""
    if facts.sources_fault:
        yield Finding("source-unusable", _F, facts.sources_fault, "source", "correct the [[machine]] table")
    for s in facts.sensors:
        if s.fault:
            yield Finding("source-unusable", _F, s.fault, f"machine {s.machine.name}", "correct or replace its source")


def sensor_silent(facts: Facts) -> Iterator[Finding]:
    """No window at all, while it was listened to."""
    for s in facts.sensors:
        if s.listened_s and not s.windows and not s.fault:
            yield Finding(
                "sensor-silent",
                _F,
                f"no window in {s.listened_s:g} s",
                f"machine {s.machine.name}",
                "check cable, address and power; listen longer with --seconds",
            )


def channel_missing(facts: Facts) -> Iterator[Finding]:
    """The machine has it, the windows do not; a slow one among them is a drop-out."""
    for s in facts.sensors:
        for channel in s.machine.channels:
            absent = sum(channel.name not in w.samples for w in s.windows)
            if absent and channel.kind is ChannelKind.WAVEFORM:
                yield _of(
                    s,
                    channel,
                    "channel-missing",
                    f"absent from {absent} of {len(s.windows)} windows",
                    "check its cable",
                )


def temperature_dropouts(facts: Facts) -> Iterator[Finding]:
    """Slow channels that come and go, are not numbers, or say what no machine has."""
    for s in facts.sensors:
        for channel in (c for c in s.machine.channels if c.kind is ChannelKind.SCALAR):
            rare = channel.rate_hz * _spacing_s(s) < 1.0  # it need not be in every window
            values = [w.samples.get(channel.name) for w in s.windows if channel.name in w.samples or not rare]
            lost = sum(v is None or not v.size or not np.isfinite(v).all() for v in values)
            if lost:
                yield _of(
                    s, channel, "slow-dropout", f"no value in {lost} of {len(values)} windows", "check its wiring"
                )
            elif channel.unit in CELSIUS and any(_implausible(v) for v in values if v is not None):
                yield _of(s, channel, "slow-implausible", "outside of -60 to 400 C", "check sensor type and scaling")


def not_a_number(facts: Facts) -> Iterator[Finding]:
    """Samples that are no numbers."""
    yield from _with_fault(facts, DROPOUT, "sensor-nan", "samples are not finite numbers", "check driver and cable")


def sensor_dead(facts: Facts) -> Iterator[Finding]:
    """No variation whatever."""
    yield from _with_fault(facts, DEAD, "sensor-dead", "all samples are equal", "check power, cable and input range")


def sensor_stuck(facts: Facts) -> Iterator[Finding]:
    """Long runs of one value."""
    yield from _with_fault(facts, STUCK, "sensor-stuck", "half of the samples repeat one value", "check the converter")


def sensor_clipping(facts: Facts) -> Iterator[Finding]:
    """Impacts are cut off, exactly what is to be heard."""
    yield from _with_fault(facts, CLIPPED, "sensor-clipping", "it reaches the end of its range", "use a larger range")


def sensor_intermittent(facts: Facts) -> Iterator[Finding]:
    """A plug or a cable that loses contact."""
    said = "it is silent in parts"
    yield from _with_fault(facts, INTERMITTENT, "sensor-intermittent", said, "check plug and cable for a loose contact")


def sensor_spikes(facts: Facts) -> Iterator[Finding]:
    """Single samples far away from both neighbours: no machine does that."""
    said = "single samples stand far away from their neighbours"
    yield from _with_fault(facts, SPIKES, "sensor-spikes", said, "check shield, ground and the converter's supply")


def rate_drift(facts: Facts) -> Iterator[Finding]:
    """Of windows that follow each other without a pause: their spacing against samples / rate."""
    for s in facts.sensors:
        for channel in (c for c in s.machine.channels if c.kind is ChannelKind.WAVEFORM):
            rate = _measured_rate(s, channel)
            if rate is not None and abs(rate / channel.rate_hz - 1.0) > RATE_TOLERANCE:
                yield _of(
                    s,
                    channel,
                    "rate-drift",
                    f"samples come at {rate:,.0f} Hz, {channel.rate_hz:,.0f} Hz are configured",
                    "correct the rate: all frequencies are off by as much",
                )


def windows_too_short(facts: Facts) -> Iterator[Finding]:
    """Too few lines in the spectrum to tell one fault from another."""
    for s in facts.sensors:
        for channel, heard in _waveforms(s):
            shortest = min(v.size for v in heard)
            if shortest < LEAST_SAMPLES:
                what = f"windows have {shortest} samples, at least {LEAST_SAMPLES} are needed"
                yield _of(s, channel, "windows-short", what, "make the source's windows longer")


def schedule_differs(facts: Facts) -> Iterator[Finding]:
    """An alarm rate means something on a measuring schedule only."""
    for s in facts.sensors:
        every_s = _spacing_s(s)
        if len(s.windows) > 2 and not 0.5 < every_s / s.every_s < 2.0 and every_s > 0:
            yield Finding(
                "schedule-differs",
                _F,
                f"a window comes every {every_s:.3g} s, the false-alarm budget counts on one every {s.every_s:.3g} s",
                f"machine {s.machine.name}",
                "say `every_seconds` in its source, or measure as often as it says",
            )


def unit_without_velocity(facts: Facts) -> Iterator[Finding]:
    """Mostly a unit that nobody said, or a spelling that is not known here."""
    for s in facts.sensors:
        for c in s.machine.channels:
            if c.kind is ChannelKind.WAVEFORM and c.unit not in TURNING and not has_velocity(c.unit):
                what = f"unit {c.unit!r} is no acceleration or velocity: no mm/s and no severity zone"
                where = f"machine {s.machine.name}, channel {c.name}"
                yield Finding(
                    "unit-without-velocity", _H, what, where, "say g, m/s2, mm/s or m/s, if it is one of them"
                )


def zones_unheard(facts: Facts) -> Iterator[Finding]:
    """Severity zones judge velocity from 10 Hz on, which short windows with pauses do not hold."""
    for s in facts.sensors:
        if s.zones and s.windows:
            extractor = Extractor(s.machine)
            rows = [row for w in s.windows for row in extractor.extract(w)]
            if not any(VELOCITY[0].id in row.schema.columns for row in rows):
                yield Finding(
                    "zones-unheard",
                    _F,
                    f"{s.zones} is configured, but no window gives a velocity from 10 to 1000 Hz",
                    f"machine {s.machine.name}",
                    "measure 1 s at 2 kHz or more, in g, m/s2 or mm/s, or windows that follow without a pause",
                )


def no_bearing_lines(facts: Facts) -> Iterator[Finding]:
    """Without them no alarm says which part it is."""
    for s in facts.sensors:
        fast = any(c.kind is ChannelKind.WAVEFORM for c in s.machine.channels)
        known = {"speed": ShaftSpeed(s.machine).known, "bearing geometry": s.machine.bearing is not None}
        missing = [name for name, is_known in known.items() if not is_known]
        if fast and missing:
            yield Finding(
                "no-bearing-lines",
                _H,
                f"{' and '.join(missing)} not known: no alarm can name the part",
                f"machine {s.machine.name}",
                "say `speed_rpm` (or add a channel of unit rpm) and `bearing` in the source's description",
            )


def event_times_run_back(facts: Facts) -> Iterator[Finding]:
    """Windows out of order."""
    for s in facts.sensors:
        times = [w.time_ns for w in s.windows]
        back = sum(b <= a for a, b in pairwise(times))
        if back:
            yield Finding(
                "times-run-back",
                _F,
                f"{back} windows are not after the one before",
                f"machine {s.machine.name}",
                "check its clock",
            )


def _of(s: SensorFacts, channel: Channel, name: str, what: str, mend: str) -> Finding:
    return Finding(name, _F, what, f"machine {s.machine.name}, channel {channel.name}", mend)


def _spacing_s(s: SensorFacts) -> float:
    """Seconds of event time from window to window, in the middle; 0 for fewer than two."""
    steps = [(b.time_ns - a.time_ns) * 1e-9 for a, b in pairwise(s.windows)]
    return float(np.median(steps)) if steps else 0.0


def _implausible(values: FloatArray) -> bool:
    return bool(values.min() < PLAUSIBLE_C[0] or values.max() > PLAUSIBLE_C[1])


def _waveforms(s: SensorFacts) -> Iterator[tuple[Channel, list[FloatArray]]]:
    for channel in s.machine.channels:
        heard = [w.samples[channel.name] for w in s.windows if w.samples.get(channel.name, np.empty(0)).size]
        if channel.kind is ChannelKind.WAVEFORM and heard:
            yield channel, heard


def _with_fault(facts: Facts, fault: str, name: str, what: str, mend: str) -> Iterator[Finding]:
    for s in facts.sensors:
        for channel, heard in _waveforms(s):
            count = sum(waveform_fault(v) == fault for v in heard)
            if count:
                yield _of(s, channel, name, f"{what}, in {count} of {len(heard)} windows", mend)


def _measured_rate(s: SensorFacts, channel: Channel) -> float | None:
    """Samples per second of the source's own clock; None where windows have pauses between them."""
    pairs = [(a, b) for a, b in pairwise(s.windows) if channel.name in a.samples and channel.name in b.samples]
    seconds = sum((b.time_ns - a.time_ns) * 1e-9 for a, b in pairs)
    if seconds <= 0:
        return None
    rate = sum(a.samples[channel.name].size for a, _ in pairs) / seconds
    return rate if 0.67 < rate / channel.rate_hz < 1.5 else None
