"""Sets of sequence numbers as sorted, disjoint, inclusive ranges: what a cursor is made of.

Devices send in any order, so a cursor is not one number. It is small all the same: a device that sends live windows
before its backlog has two or three ranges, and they merge as the backlog drains.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Range = tuple[int, int]


class Ranges:
    """A mutable set of non-negative integers below 2**63; `len` counts the integers, iterating gives the ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Add `first` to `last`, both included; alone, `first` is one number. Neighbours merge."""
        last = first if last is None else last
        if not 0 <= first <= last < 2**63:
            raise ValueError(f"{first} to {last} is no range of sequence numbers")
        begin = bisect_left(self._lasts, first - 1)
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def update(self, other: Iterable[Range]) -> None:
        """Add every range of `other`."""
        for first, last in other:
            self.add(first, last)

    def remove(self, first: int, last: int) -> None:
        """Take `first` to `last` out, both included; what is not there is fine."""
        kept = [r for lo, hi in self for r in ((lo, min(hi, first - 1)), (max(lo, last + 1), hi)) if r[0] <= r[1]]
        self._firsts = [lo for lo, _ in kept]
        self._lasts = [hi for _, hi in kept]

    def contains(self, first: int, last: int | None = None) -> bool:
        """Whether all of `first` to `last` is in the set."""
        last = first if last is None else last
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and self._lasts[at] >= last

    def overlap(self, first: int, last: int) -> list[Range]:
        """Return the parts of `first` to `last` that are in the set."""
        begin, end = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        return [(max(self._firsts[i], first), min(self._lasts[i], last)) for i in range(begin, end)]

    def missing(self, first: int, last: int) -> Ranges:
        """Return the parts of `first` to `last` that are not in the set."""
        gone = Ranges()
        at = first
        for lo, hi in self.overlap(first, last):
            if at < lo:
                gone.add(at, lo - 1)
            at = hi + 1
        if at <= last:
            gone.add(at, last)
        return gone

    def mask(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of `numbers` (n,) are in the set, (n,)."""
        if not self._firsts:
            return np.zeros(len(numbers), np.bool_)
        at = np.searchsorted(np.array(self._firsts), numbers, "right") - 1
        return np.asarray((at >= 0) & (np.array(self._lasts)[at] >= numbers))

    @property
    def head(self) -> int:
        """The highest number; 0 when empty."""
        return self._lasts[-1] if self._lasts else 0

    def copy(self) -> Ranges:
        """Return an independent copy."""
        new = Ranges()
        new._firsts, new._lasts = self._firsts.copy(), self._lasts.copy()
        return new

    def encode(self) -> bytes:
        """Return pairs of uint64, little-endian: the form kept in SQL."""
        return struct.pack(f"<{2 * len(self._firsts)}Q", *(n for r in self for n in r))

    @classmethod
    def decode(cls, data: bytes) -> Ranges:
        """Read what `encode` gave; anything else is a `ValueError`."""
        if len(data) % 16:
            raise ValueError(f"{len(data)} bytes are not pairs of uint64")
        numbers = struct.unpack(f"<{len(data) // 8}Q", data)
        return cls(zip(numbers[::2], numbers[1::2], strict=True))

    def __iter__(self) -> Iterator[Range]:
        return zip(tuple(self._firsts), tuple(self._lasts), strict=True)

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and (self._firsts, self._lasts) == (other._firsts, other._lasts)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return "Ranges(" + ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in self) + ")"


def runs(ascending: NDArray[np.int64]) -> Iterator[Range]:
    """Yield ascending, distinct integers (n,) as ranges."""
    if not len(ascending):
        return
    breaks = np.flatnonzero(np.diff(ascending) != 1)
    firsts = ascending[np.concatenate([[0], breaks + 1])]
    lasts = ascending[np.concatenate([breaks, [len(ascending) - 1]])]
    yield from zip(firsts.tolist(), lasts.tolist(), strict=True)
