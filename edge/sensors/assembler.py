"""One measurement out of channels that arrive one by one, by event time: what buses with a name per channel need.

A measurement is complete when each waveform has its block; a slow channel's values since the one before go with it. A
second block of one waveform ends a measurement too, which then lacks the others. A machine without waveforms has one
every `every_s`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST_VALUES = 4096  # of a slow channel between two measurements; the oldest go first

Assembled = tuple[int, dict[str, NDArray[Any]]]


class Assembler:
    """Collects one machine's channels."""

    def __init__(self, waveforms: Collection[str], every_s: float) -> None:
        self._waveforms = frozenset(waveforms)
        self._every_ns = round(every_s * 1e9)
        self._blocks: dict[str, NDArray[Any]] = {}
        self._slow: dict[str, NDArray[Any]] = {}
        self._started_ns = 0

    def add(self, name: str, time_ns: int, values: NDArray[Any]) -> list[Assembled]:
        """Take a channel's values (n,) of `time_ns`; what is complete thereby (at most two)."""
        done: list[Assembled] = []
        if name in self._waveforms:
            if name in self._blocks:
                done.append(self._end())
            if not self._blocks:
                self._started_ns = time_ns
            self._blocks[name] = values
            if len(self._blocks) == len(self._waveforms):
                done.append(self._end())
            return done
        if not self._waveforms:
            if self._slow and not 0 <= time_ns - self._started_ns < self._every_ns:
                done.append(self._end())
            if not self._slow:
                self._started_ns = time_ns
        before = self._slow.get(name)
        self._slow[name] = (values if before is None else np.concatenate([before, values]))[-_LARGEST_VALUES:]
        return done

    @property
    def pending(self) -> bool:
        """Whether a measurement has begun that is not complete."""
        return bool(self._blocks or self._slow)

    def _end(self) -> Assembled:
        ended = (self._started_ns, {**self._blocks, **self._slow})
        self._blocks, self._slow = {}, {}
        return ended
