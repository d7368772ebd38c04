"""From what a bus delivers to a window: decoded, scaled to units, checked, and in rising order of time.

The JSON of one measurement, as the push socket and MQTT take it (docs/sources.md):

    {"time_ns": 1767225600000000000, "channels": {"horizontal": [0.1, -0.2], "temperature": 41.5}}

A channel is a number, a list of numbers (null where the sensor has none), or packed samples, little-endian in base64:
`{"type": "i2", "data": "..."}` with i2, i4, f4 or f8.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.sensors.wired import ChannelConfig
from edge.types import FloatArray, Quality, Window
from models.errors import ForewarnError

LARGEST_SAMPLES = 1 << 20  # of one channel in one window
_LAST_NS = (1 << 63) - 1


class BadData(ForewarnError):
    """One measurement is refused, the next one is taken. Its text names no value, so that repetitions are counted."""


class Packed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Samples as bytes."""

    type: Literal["i2", "i4", "f4", "f8"]
    data: bytes


class Measurement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One window on its way in."""

    channels: dict[str, float | list[float | None] | Packed]
    time_ns: int | None = None  # of the first sample; absent: when it arrives


def decode(data: bytes) -> tuple[int | None, dict[str, NDArray[Any]]]:
    """Event time (None: now) and samples by channel; BadData says what is wrong with the JSON."""
    try:
        said = msgspec.json.decode(data, type=Measurement)
        return said.time_ns, {name: _values(given) for name, given in said.channels.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as e:
        raise BadData(f"is no measurement: {e}", mend="docs/sources.md has the form") from e


def _values(given: float | list[float | None] | Packed) -> NDArray[Any]:
    if isinstance(given, Packed):
        return np.frombuffer(given.data, dtype=f"<{given.type}")
    if isinstance(given, list):
        return np.array(given, dtype=np.float64)  # None becomes NaN
    return np.array([given])


class RisingClock:
    """Event times that rise although the source's clock may be set back; what was moved is marked."""

    def __init__(self) -> None:
        self._said: int | None = None
        self._last = 0
        self._shift = 0

    def place(self, time_ns: int) -> tuple[int, Quality]:
        """`time_ns` where it follows the last one, else as near as order allows; BadData when it came already."""
        if not 0 < time_ns < _LAST_NS // 2:
            raise BadData("its time is not in ns since 1970", mend="send whole nanoseconds")
        if time_ns == self._said:
            raise BadData("has the time of the one before", mend="send each measurement once")
        self._said = time_ns
        quality = Quality.GOOD
        if time_ns <= self._last:
            quality = Quality.SUSPECT_CLOCK
            if time_ns + self._shift <= self._last:
                self._shift = self._last + 1 - time_ns
            time_ns += self._shift
        else:
            self._shift = 0
        self._last = time_ns
        return time_ns, quality


class WindowMaker:
    """Makes one machine's windows."""

    def __init__(
        self, machine: str, channels: Sequence[ChannelConfig], *, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._machine = machine
        self._channels = {c.name: c for c in channels}
        self._waveforms = {c.name for c in channels if c.kind == "waveform"}
        self._clock = RisingClock()
        self._clock_ns = clock_ns

    def make(self, time_ns: int | None, values: Mapping[str, NDArray[Any]]) -> Window:
        """A window of what arrived, in units; a waveform that is missing makes it INCOMPLETE. BadData: take the next.

        A value that is not finite stays: the detector takes it for a faulty sensor, and tells the crew.
        """
        samples = {name: self._samples(name, given) for name, given in values.items()}
        if not samples:
            raise BadData("has no channel", mend="send at least one")
        lasting = {round(samples[n].size / self._channels[n].rate_hz, 6) for n in self._waveforms & samples.keys()}
        if len(lasting) > 1:
            raise BadData("its waveforms do not last equally long", mend="send all channels of the same time")
        placed, quality = self._clock.place(self._clock_ns() if time_ns is None else time_ns)
        if not self._waveforms <= samples.keys():
            quality |= Quality.INCOMPLETE
        return Window(machine=self._machine, time_ns=placed, samples=samples, quality=quality)

    def _samples(self, name: str, given: NDArray[Any]) -> FloatArray:
        channel = self._channels.get(name)
        if channel is None:
            known = ", ".join(self._channels)
            raise BadData(f"channel {name[:64]!r} is not configured", mend=f"the channels here: {known}")
        if given.ndim != 1 or given.dtype.kind not in "iufb" or not 0 < given.size <= LARGEST_SAMPLES:
            raise BadData(f"channel {name!r} is no list of 1 to {LARGEST_SAMPLES} numbers", mend="send plain numbers")
        with np.errstate(over="ignore", invalid="ignore"):
            return (given * channel.scale + channel.offset).astype(np.float32)
