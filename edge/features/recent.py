"""The last unbroken stretches of a machine's waveforms at one speed, kept for a diagnosis.

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
_SAME_SPEED = 0.006  # a line moves by as much, and is sought within 1.5 %
_JOINT_NS = 1_000_000  # windows that follow within 1 ms are one measurement: their time stamps are no better


@dataclass(slots=True)
class _Stretch:
    parts: deque[FloatArray] = field(default_factory=deque)
    samples: int = 0
    due_ns: float = 0.0  # when its next sample would be


class Recent:
    """The last stretches of each waveform channel at `speed_rpm`, which says how long one must be to be of use."""

    def __init__(self, machine: Machine) -> None:
        self._rates = {c.name: c.rate_hz for c in machine.channels if c.kind is ChannelKind.WAVEFORM}
        self.speed_rpm: float | None = None  # of all that is kept; None before the first window
        self._kept: dict[str, deque[_Stretch]] = {n: deque() for n in self._rates}

    def add(self, window: Window, speed_rpm: float | None, faulty: Container[str] = ()) -> None:
        """Take a window, or nothing of it where the speed is not known; what was heard at another speed is forgotten.

        A channel whose sensor is faulty forgets what it said before too.
        """
        if speed_rpm is not None and (self.speed_rpm is None or abs(speed_rpm / self.speed_rpm - 1) > _SAME_SPEED):
            self.clear()
            self.speed_rpm = speed_rpm
        for name, kept in self._kept.items():
            samples = window.samples.get(name)
            if name in faulty:
                kept.clear()
            elif speed_rpm is not None and samples is not None and samples.size:
                self._append(kept, window.time_ns, np.array(samples, dtype=np.float32), self._rates[name], speed_rpm)

    def _append(
        self, kept: deque[_Stretch], time_ns: int, samples: FloatArray, rate_hz: float, speed_rpm: float
    ) -> None:
        if not kept or abs(time_ns - kept[-1].due_ns) > _JOINT_NS:
            if kept and segment_length(kept[-1].samples, rate_hz, speed_rpm) is None:
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
        """Forget everything: the machine was repaired, or turns at another speed."""
        for kept in self._kept.values():
            kept.clear()

    def stretches(self) -> dict[str, tuple[float, list[FloatArray]]]:
        """Each channel's rate in Hz, and its stretches as (n,) samples, the oldest first."""
        return {
            name: (self._rates[name], [np.concatenate(s.parts) for s in kept])
            for name, kept in self._kept.items()
            if kept
        }
