"""The last unbroken stretches of a machine's waveforms, kept for a diagnosis.

Bounded: MOST_SAMPLES a channel, and a stretch that ended too short to be diagnosed is forgotten at once, so a machine
that is measured in short snapshots keeps one of them. It is not part of what outlives a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np

from edge.features.envelope_diagnosis import segment_length
from edge.types import ChannelKind, FloatArray, Machine, Window

MOST_SAMPLES = 1 << 18  # of a channel: 1 MiB
_JOINT_NS = 1_000_000  # windows that follow within 1 ms are one measurement: their time stamps are no better


@dataclass(slots=True)
class _Stretch:
    parts: deque[FloatArray] = field(default_factory=deque)
    samples: int = 0
    due_ns: float = 0.0  # when its next sample would be


class Recent:
    """The last stretches of each waveform channel; `speed_rpm` says how long one must be to be of use."""

    def __init__(self, machine: Machine, speed_rpm: float) -> None:
        self._rates = {c.name: c.rate_hz for c in machine.channels if c.kind is ChannelKind.WAVEFORM}
        self._speed_rpm = speed_rpm
        self._kept: dict[str, deque[_Stretch]] = {n: deque() for n in self._rates}

    def add(self, window: Window, faulty: Container[str] = ()) -> None:
        """Take a window; a channel whose sensor is faulty forgets what it said before too."""
        for name, kept in self._kept.items():
            samples = window.samples.get(name)
            if name in faulty:
                kept.clear()
            elif samples is not None and samples.size:
                self._append(kept, window.time_ns, np.array(samples, dtype=np.float32), self._rates[name])

    def _append(self, kept: deque[_Stretch], time_ns: int, samples: FloatArray, rate_hz: float) -> None:
        if not kept or abs(time_ns - kept[-1].due_ns) > _JOINT_NS:
            if kept and segment_length(kept[-1].samples, rate_hz, self._speed_rpm) is None:
                kept.pop()
            kept.append(_Stretch())
        last = kept[-1]
        last.parts.append(samples)
        last.samples += samples.size
        last.due_ns = time_ns + samples.size * 1e9 / rate_hz
        while sum(s.samples for s in kept) > MOST_SAMPLES and (len(kept) > 1 or len(last.parts) > 1):
            oldest = kept[0]
            oldest.samples -= oldest.parts.popleft().size
            if not oldest.parts:
                kept.popleft()

    def clear(self) -> None:
        """Forget everything: the machine was repaired."""
        for kept in self._kept.values():
            kept.clear()

    def stretches(self) -> dict[str, tuple[float, list[FloatArray]]]:
        """Each channel's rate in Hz, and its stretches as (n,) samples, the oldest first."""
        return {
            name: (self._rates[name], [np.concatenate(s.parts) for s in kept])
            for name, kept in self._kept.items()
            if kept
        }
