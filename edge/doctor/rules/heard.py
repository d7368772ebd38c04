"""What the rules about sensors share: how a channel is named in a finding, and what was heard of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from edge.doctor.types import Finding, Level, SensorFacts
from edge.types import Channel, ChannelKind, FloatArray


def of(s: SensorFacts, channel: Channel, name: str, what: str, mend: str) -> Finding:
    """A fault of one channel."""
    return Finding(name, Level.FAULT, what, f"machine {s.machine.name}, channel {channel.name}", mend)


def waveforms(s: SensorFacts) -> Iterator[tuple[Channel, list[FloatArray]]]:
    """Each waveform channel that was heard, and its samples window by window."""
    for channel in s.machine.channels:
        heard = [w.samples[channel.name] for w in s.windows if w.samples.get(channel.name, np.empty(0)).size]
        if channel.kind is ChannelKind.WAVEFORM and heard:
            yield channel, heard


def spacing_s(s: SensorFacts) -> float:
    """Seconds of event time from window to window, in the middle; 0 for fewer than two."""
    steps = [(b.time_ns - a.time_ns) * 1e-9 for a, b in pairwise(s.windows)]
    return float(np.median(steps)) if steps else 0.0
