"""How it is measured: rate, length, schedule and unit, and what they leave unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from edge.detection.regime import RegimeWatch
from edge.doctor.rules.heard import of, spacing_s, waveforms
from edge.doctor.types import Facts, Finding, Level, SensorFacts
from edge.features import Extractor
from edge.features.speed import TURNING, ShaftSpeed
from edge.features.velocity import has_velocity
from edge.types import Channel, ChannelKind
from models.features import VELOCITY

LEAST_SAMPLES = 1_024  # 25 Hz between lines at 25.6 kHz
RATE_TOLERANCE = 0.005  # a bearing's lines are told apart at 1 %
_F, _H = Level.FAULT, Level.HINT


def rate_drift(facts: Facts) -> Iterator[Finding]:
    """Of windows that follow each other without a pause: their spacing against samples / rate."""
    for s in facts.sensors:
        for channel in (c for c in s.machine.channels if c.kind is ChannelKind.WAVEFORM):
            rate = _measured_rate(s, channel)
            if rate is not None and abs(rate / channel.rate_hz - 1.0) > RATE_TOLERANCE:
                yield of(
                    s,
                    channel,
                    "rate-drift",
                    f"samples come at {rate:,.0f} Hz, {channel.rate_hz:,.0f} Hz are configured",
                    "correct the rate: all frequencies are off by as much",
                )


def windows_too_short(facts: Facts) -> Iterator[Finding]:
    """Too few lines in the spectrum to tell one fault from another."""
    for s in facts.sensors:
        for channel, heard in waveforms(s):
            shortest = min(v.size for v in heard)
            if shortest < LEAST_SAMPLES:
                what = f"windows have {shortest} samples, at least {LEAST_SAMPLES} are needed"
                yield of(s, channel, "windows-short", what, "make the source's windows longer")


def schedule_differs(facts: Facts) -> Iterator[Finding]:
    """An alarm rate means something on a measuring schedule only."""
    for s in facts.sensors:
        every_s = spacing_s(s)
        if len(s.windows) > 2 and not 0.5 < every_s / s.every_s < 2.0 and every_s > 0:
            yield Finding(
                "schedule-differs",
                _F,
                f"a window comes every {every_s:.3g} s, the false-alarm budget counts on one every {s.every_s:.3g} s",
                f"machine {s.machine.name}",
                "say `every_seconds` in its source, or measure as often as it says",
            )


def windows_not_judged(facts: Facts) -> Iterator[Finding]:
    """Like is compared with like: a window whose speed or load is not told is compared with nothing."""
    for s in facts.sensors:
        for name in sorted(RegimeWatch(s.machine).channels):
            absent = sum(name not in w.samples for w in s.windows)
            if absent:
                yield Finding(
                    "windows-not-judged",
                    _F,
                    f"absent from {absent} of {len(s.windows)} windows, which are not judged: it tells the regime",
                    f"machine {s.machine.name}, channel {name}",
                    "send its last value with every window",
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


def _measured_rate(s: SensorFacts, channel: Channel) -> float | None:
    """Samples per second of the source's own clock; None where windows have pauses between them."""
    pairs = [(a, b) for a, b in pairwise(s.windows) if channel.name in a.samples and channel.name in b.samples]
    seconds = sum((b.time_ns - a.time_ns) * 1e-9 for a, b in pairs)
    if seconds <= 0:
        return None
    rate = sum(a.samples[channel.name].size for a, _ in pairs) / seconds
    return rate if 0.67 < rate / channel.rate_hz < 1.5 else None
