"""The amplitude spectrum that people look at: tones keep their height, however many lines are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.features.waveform import SHORTEST
from edge.types import Channel, ChannelKind, Kind, Machine, Record, Window

LONGEST = 1024  # lines of a record


def amplitude_spectrum(samples: NDArray[np.float32], rate_hz: float) -> tuple[NDArray[np.float32], float]:
    """(n,) samples -> at most 1024 lines in RMS units, and the Hz between them.

    Hann window, corrected for its coherent gain: a tone of RMS a shows a line of height a. Where an rfft has more
    lines, neighbours share one and the highest stands, so line i covers [i, i + 1) steps.
    """
    n = samples.size
    hann = 0.5 - 0.5 * np.cos(np.arange(n, dtype=np.float32) * np.float32(2 * np.pi / n))
    amplitude = np.abs(np.fft.rfft((samples - samples.mean()) * hann)) * np.float32(2.0 * np.sqrt(2.0) / n)
    once = [0, -1] if n % 2 == 0 else [0]  # zero and Nyquist stand once in the signal, the others twice
    amplitude[once] *= np.float32(np.sqrt(0.5))
    shared = -(-amplitude.size // LONGEST)
    if shared > 1:
        amplitude = np.pad(amplitude, (0, -amplitude.size % shared)).reshape(-1, shared).max(axis=1)
    return amplitude.astype(np.float32, copy=False), rate_hz / n * shared


def spectrum(machine: Machine, window: Window) -> list[Record]:
    """A SPECTRUM record for each waveform channel of the window that is long enough and finite."""
    fast = [c for c in machine.channels if c.kind is ChannelKind.WAVEFORM and c.name in window.samples]
    return [_record(machine, window, c) for c in fast if _usable(window.samples[c.name])]


def _usable(samples: NDArray[np.float32]) -> bool:
    return samples.size >= SHORTEST and bool(np.isfinite(samples).all())


def _record(machine: Machine, window: Window, channel: Channel) -> Record:
    values, step = amplitude_spectrum(window.samples[channel.name], channel.rate_hz)
    return Record(
        kind=Kind.SPECTRUM,
        machine=machine.name,
        channel=channel.name,
        time_ns=window.time_ns,
        values=values,
        quality=window.quality_of(channel.name),
        step=step,
    )
