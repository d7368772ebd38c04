"""A machine's last days: one row a minute, as a ring of hours in the device's state. Pure.

An hour is one small value of the state, so that a minute costs one kilobyte of writing and nothing ever has to be
deleted: hour `h` lies in slot `h` modulo the number of slots.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_ROW = struct.Struct("<Bffc")  # minute of the hour, deviation, degradation, zone
_HEAD = struct.Struct("<q")  # hour since 1970
_MINUTE_NS = 60_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
ZONES = "ABCD"


@dataclass(frozen=True, slots=True)
class Minute:
    """The worst of one minute."""

    time_ns: int  # the minute's start, event time
    deviation: float  # from the healthy start, robust z
    degradation: float  # NaN without a model
    zone: str


class Trend:
    """One machine's minutes, at most `days` of them."""

    def __init__(self, days: int) -> None:
        """`days` 0 keeps nothing."""
        self._slots = 24 * days + 1 if days else 0
        self._hours: dict[int, dict[int, bytes]] = {}
        self._changed: set[int] = set()

    def add(self, time_ns: int, deviation: float, degradation: float, zone: str) -> None:
        """Take one window into its minute."""
        if not self._slots:
            return
        hour, minute = time_ns // _HOUR_NS, time_ns % _HOUR_NS // _MINUTE_NS
        rows = self._hours.setdefault(hour, {})
        _, old_deviation, old_degradation, old_zone = (
            _ROW.unpack(rows[minute]) if minute in rows else (0, -math.inf, math.nan, b"A")
        )
        worst = max(zone, old_zone.decode())
        deviation = max(deviation, old_deviation) if math.isfinite(deviation) else old_deviation
        degradation = old_degradation if math.isnan(degradation) else max(degradation, _or_zero(old_degradation))
        row = _ROW.pack(minute, deviation, degradation, worst.encode())
        if rows.get(minute) != row:
            rows[minute] = row
            self._changed.add(hour)
        if len(self._hours) > self._slots:
            self._forget(hour)

    def _forget(self, newest: int) -> None:
        """Drop the hours that the ring has no place for, also those of a clock that has since been put right."""
        for hour in [h for h in self._hours if abs(newest - h) >= self._slots]:
            del self._hours[hour]
        while len(self._hours) > self._slots:
            del self._hours[min(self._hours)]

    def copy(self) -> Trend:
        """The same rows, for another thread to read at its leisure."""
        other = Trend(0)
        other._hours = {hour: dict(rows) for hour, rows in self._hours.items()}
        return other

    def minutes(self) -> Iterator[Minute]:
        """All rows, oldest first."""
        for hour in sorted(self._hours):
            for minute in sorted(self._hours[hour]):
                _, deviation, degradation, zone = _ROW.unpack(self._hours[hour][minute])
                yield Minute(hour * _HOUR_NS + minute * _MINUTE_NS, deviation, degradation, zone.decode())

    def state(self, prefix: str) -> dict[str, bytes]:
        """The hours that changed since the last call, by the name of their slot."""
        changed, self._changed = self._changed, set()
        return {
            f"{prefix}/{hour % self._slots}": _HEAD.pack(hour) + b"".join(self._hours[hour].values())
            for hour in changed
            if hour in self._hours
        }

    def restore(self, prefix: str, state: Callable[[str], bytes | None]) -> None:
        """Continue from what `state` kept; a slot that is not understood is left out."""
        for slot in range(self._slots):
            data = state(f"{prefix}/{slot}")
            if not data or len(data) < _HEAD.size or (len(data) - _HEAD.size) % _ROW.size:
                continue
            (hour,) = _HEAD.unpack_from(data)
            rows = [data[i : i + _ROW.size] for i in range(_HEAD.size, len(data), _ROW.size)]
            if all(r[0] < 60 and chr(r[-1]) in ZONES for r in rows):
                self._hours[hour] = {r[0]: r for r in rows}
        if self._hours:
            self._forget(max(self._hours))


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
