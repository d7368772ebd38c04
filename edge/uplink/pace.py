"""How much may be on the way, and how long to wait before the next attempt: rules without I/O.

Bulk keeps at most one second of the link's rate unreceived, so that an alert never waits behind more than that. The
rate is measured as BBR does: bytes delivered between a parcel's departure and its `received`, the best of some seconds.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge.outbox import Range

SMALLEST_WINDOW = 8_000  # bytes; also the first, and on a fast link one answer makes it large
_WINDOW_S = 1.0
_RATE_MEMORY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Sent:
    first: int
    size: int
    at_s: float
    delivered: int  # bytes that had been received when this left


class InFlight:
    """Parcels by their last sequence number, until ranges of answers cover them."""

    def __init__(self) -> None:
        self._parcels: dict[int, _Sent] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def add(self, last: int, parcel: _Sent) -> None:
        """A parcel has left."""
        self._parcels[last] = parcel
        self.bytes += parcel.size

    def remove(self, ranges: Iterable[Range]) -> list[_Sent]:
        """Take out the parcels that end in the ranges."""
        gone: list[_Sent] = []
        for first, last in ranges:
            few = last - first < len(self._parcels)
            keys = range(first, last + 1) if few else [k for k in self._parcels if first <= k <= last]
            gone += [self._parcels.pop(k) for k in keys if k in self._parcels]
        self.bytes -= sum(p.size for p in gone)
        return gone


class Pacer:
    """The window of one stream."""

    def __init__(self, credit_bytes: int, clock_s: Callable[[], float]) -> None:
        """`credit_bytes` is the gateway's word; it is never exceeded, but for a single parcel larger than it."""
        self._credit = credit_bytes
        self._clock_s = clock_s
        self._delivered = 0
        self._rates: deque[tuple[float, float]] = deque()  # (time, bytes/s), best first
        self.unreceived = InFlight()
        self.unstored = InFlight()

    def sent(self, first: int, last: int, size: int) -> None:
        """Note a parcel that leaves now."""
        parcel = _Sent(first, size, self._clock_s(), self._delivered)
        self.unreceived.add(last, parcel)
        self.unstored.add(last, parcel)

    def received(self, ranges: Iterable[Range]) -> None:
        """Note what the gateway has taken into memory."""
        now = self._clock_s()
        gone = self.unreceived.remove(ranges)
        self._delivered += sum(p.size for p in gone)
        for parcel in gone:
            self._note_rate(now, (self._delivered - parcel.delivered) / max(now - parcel.at_s, 0.001))

    def _note_rate(self, now: float, rate: float) -> None:
        while self._rates and self._rates[-1][1] <= rate:
            self._rates.pop()
        self._rates.append((now, rate))
        while self._rates[0][0] < now - _RATE_MEMORY_S:
            self._rates.popleft()

    @property
    def window(self) -> int:
        """How many bytes may be unreceived now."""
        return min(self._credit, int(self._rate * _WINDOW_S))

    @property
    def _rate(self) -> float:
        """Bytes/s of the link, at least that of the slowest one."""
        best = self._rates[0][1] if self._rates else 0.0
        return max(best, SMALLEST_WINDOW / _WINDOW_S)

    @property
    def queue_s(self) -> float:
        """How long what is unreceived now keeps the link busy: a second at most, but for a parcel larger than that."""
        return self.unreceived.bytes / self._rate

    @property
    def room(self) -> int:
        """How many bytes more may leave now; may be negative."""
        return self.window - self.unreceived.bytes

    def fits(self, size: int) -> bool:
        """Whether a parcel may leave: there is room, or nothing else is on the way."""
        return size <= self.room or not self.unreceived


class Backoff:
    """Full jitter: a random time below a limit that doubles, so that a fleet does not come back at once."""

    def __init__(
        self, first_s: float, longest_s: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._uniform = uniform
        self.attempts = 0

    def next_s(self) -> float:
        """How long to wait before the next attempt."""
        limit = min(self._longest_s, self._first_s * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return self._uniform(0.0, limit)

    def reset(self) -> None:
        """The last attempt went well."""
        self.attempts = 0
