"""The sensors: what arrives from them while they are listened to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge.detection.sensors import CLIPPED, DEAD, DROPOUT, INTERMITTENT, SPIKES, STUCK, waveform_fault
from edge.doctor.rules.heard import of, spacing_s, waveforms
from edge.doctor.types import Facts, Finding, Level
from edge.features.scalar import CELSIUS
from edge.types import ChannelKind, FloatArray

PLAUSIBLE_C = (-60.0, 400.0)
_F = Level.FAULT


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
                yield of(
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
            rare = channel.rate_hz * spacing_s(s) < 1.0  # it need not be in every window
            values = [w.samples.get(channel.name) for w in s.windows if channel.name in w.samples or not rare]
            lost = sum(v is None or not v.size or not np.isfinite(v).all() for v in values)
            if lost:
                yield of(s, channel, "slow-dropout", f"no value in {lost} of {len(values)} windows", "check its wiring")
            elif channel.unit in CELSIUS and any(_implausible(v) for v in values if v is not None):
                yield of(s, channel, "slow-implausible", "outside of -60 to 400 C", "check sensor type and scaling")


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


def _implausible(values: FloatArray) -> bool:
    return bool(values.min() < PLAUSIBLE_C[0] or values.max() > PLAUSIBLE_C[1])


def _with_fault(facts: Facts, fault: str, name: str, what: str, mend: str) -> Iterator[Finding]:
    for s in facts.sensors:
        for channel, heard in waveforms(s):
            count = sum(waveform_fault(v) == fault for v in heard)
            if count:
                yield of(s, channel, name, f"{what}, in {count} of {len(heard)} windows", mend)
