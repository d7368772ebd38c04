"""The sensors: what arrives from them while they are listened to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from edge.detection.sensors import CLIPPED, DEAD, DROPOUT, STUCK, waveform_fault
from edge.doctor.types import Facts, Finding, Level, SensorFacts
from edge.types import Channel, ChannelKind, FloatArray

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
            values = [w.samples.get(channel.name) for w in s.windows]
            lost = sum(v is None or not v.size or not np.isfinite(v).all() for v in values)
            if lost:
                yield _of(
                    s, channel, "slow-dropout", f"no value in {lost} of {len(values)} windows", "check its wiring"
                )
            elif channel.unit == "C" and any(_implausible(v) for v in values if v is not None):
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


def no_bearing_lines(facts: Facts) -> Iterator[Finding]:
    """Without them no alarm says which part it is."""
    for s in facts.sensors:
        fast = any(c.kind is ChannelKind.WAVEFORM for c in s.machine.channels)
        missing = [n for n, v in (("speed", s.machine.speed_rpm), ("bearing geometry", s.machine.bearing)) if v is None]
        if fast and missing:
            yield Finding(
                "no-bearing-lines",
                _H,
                f"{' and '.join(missing)} not known: no alarm can name the part",
                f"machine {s.machine.name}",
                "say speed and geometry in the source's description",
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
    whole = [w for w in s.windows if channel.name in w.samples]
    if len(whole) < 2 or whole[-1].time_ns <= whole[0].time_ns:
        return None
    rate = sum(w.samples[channel.name].size for w in whole[:-1]) / ((whole[-1].time_ns - whole[0].time_ns) * 1e-9)
    return rate if 0.67 < rate / channel.rate_hz < 1.5 else None
