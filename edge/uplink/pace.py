"""How much may be on the way, and how long to wait before the next attempt: rules without I/O.

Bulk keeps at most one second of the link's rate unreceived, so that an alert never waits behind more than that. The
rate is measured as BBR does (draft-cheng-iccrg-delivery-rate-estimation): what was received between the last answer
before a parcel's departure and its own answer, over that time or the time in which it was sent, whichever is longer;
the best of some seconds. From the departure on, a small parcel that leaves just before a large one's answer would seem
to have brought that along; and an answer that comes late lets the next ones seem early.
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
_PARTS_IN_WINDOW = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """A parcel, or a part of one, on the way."""

    first: int
    size: int
    left_s: float
    delivered: int  # bytes that had been received by then ...
    since_s: float  # ... when the last of them were, and ...
    sent_s: float  # ... when these had left; on an idle link, both are when this left


class InFlight:
    """Parcels by their last sequence number, until ranges of answers cover them."""

    def __init__(self) -> None:
        self._parcels: dict[int, Sent] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def add(self, last: int, parcel: Sent) -> None:
        """A parcel has left."""
        self._parcels[last] = parcel
        self.bytes += parcel.size

    def remove(self, ranges: Iterable[Range]) -> list[Sent]:
        """Take out the parcels that end in the ranges."""
        gone: list[Sent] = []
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
        self._since_s = self._sent_s = clock_s()
        self._rates: deque[tuple[float, float]] = deque()  # (time, bytes/s), best first
        self._unreceived = InFlight()
        self._parts = InFlight()  # by the bytes of parts that had left when they had
        self._part_bytes = 0
        self.unstored = InFlight()

    def sent(self, first: int, last: int, size: int) -> None:
        """Note a parcel that leaves now, whole."""
        parcel = self._leaving(first, size)
        self._unreceived.add(last, parcel)
        self.unstored.add(last, parcel)

    def part_sent(self, first: int, last: int, size: int, *, whole: bool) -> None:
        """Note a part of a parcel that leaves now; `whole`: it is the last one."""
        self._part_bytes += size
        part = self._leaving(first, size)
        self._parts.add(self._part_bytes, part)
        if whole:
            self.unstored.add(last, part)

    def _leaving(self, first: int, size: int) -> Sent:
        now = self._clock_s()
        if not self.unreceived_bytes:
            self._since_s = self._sent_s = now
        return Sent(first, size, now, self._delivered, self._since_s, self._sent_s)

    def received(self, ranges: Iterable[Range], part_bytes: int = 0) -> None:
        """Note what the gateway has taken into memory: whole parcels, and bytes of parts since Hello."""
        gone = self._unreceived.remove(ranges) + self._parts.remove([(0, part_bytes)])
        if not gone:
            return
        now = self._since_s = self._clock_s()
        self._sent_s = max(p.left_s for p in gone)
        self._delivered += sum(p.size for p in gone)
        for p in gone:
            took_s = max(now - p.since_s, p.left_s - p.sent_s, 0.001)
            self._note_rate(now, (self._delivered - p.delivered) / took_s)

    def _note_rate(self, now: float, rate: float) -> None:
        while self._rates and self._rates[-1][1] <= rate:
            self._rates.pop()
        self._rates.append((now, rate))
        while self._rates[0][0] < now - _RATE_MEMORY_S:
            self._rates.popleft()

    @property
    def unreceived_bytes(self) -> int:
        """How many bytes are on the way."""
        return self._unreceived.bytes + self._parts.bytes

    @property
    def silent_s(self) -> float:
        """For how long something has been on the way of which nothing was received."""
        return self._clock_s() - self._since_s if self.unreceived_bytes else 0.0

    @property
    def window(self) -> int:
        """How many bytes may be unreceived now."""
        return min(self._credit, int(self._rate * _WINDOW_S))

    @property
    def part(self) -> int:
        """How large a part of a parcel is, in bytes, that does not fit into the window."""
        return max(1, self.window // _PARTS_IN_WINDOW)

    @property
    def _rate(self) -> float:
        """Bytes/s of the link, at least that of the slowest one."""
        best = self._rates[0][1] if self._rates else 0.0
        return max(best, SMALLEST_WINDOW / _WINDOW_S)

    def queue_s(self, beside: int = 0) -> float:
        """How long what is unreceived now, and so many bytes beside it, keep the link busy."""
        return (self.unreceived_bytes + beside) / self._rate

    @property
    def room(self) -> int:
        """How many bytes more may leave now; may be negative."""
        return self.window - self.unreceived_bytes

    def fits(self, size: int) -> bool:
        """Whether a parcel may leave: there is room, or nothing else is on the way."""
        return size <= self.room or not self.unreceived_bytes


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
