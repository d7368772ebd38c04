"""What goes into the outbox and what comes out of it; the blobs are opaque here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from edge.types import Kind

Range = tuple[int, int]  # sequence numbers, inclusive on both ends


def digest_of(blob: bytes) -> bytes:
    """The 16 bytes that name a parcel's content: BLAKE2b-128."""
    return blake2b(blob, digest_size=16).digest()


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same numbers as sorted ranges that neither overlap nor touch."""
    result: list[Range] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def covers(ranges: Iterable[Range], first: int, last: int) -> bool:
    """Whether one of the merged `ranges` holds all of `first` to `last`."""
    return any(lo <= first and last <= hi for lo, hi in ranges)


@dataclass(frozen=True, slots=True)
class Parcel:
    """`count` records of one kind, packed for the wire but not yet numbered."""

    kind: Kind
    count: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A parcel that the outbox keeps, with its sequence numbers `first` to `last`."""

    first: int
    last: int
    kind: Kind
    blob: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """Where an append went: its parcels are numbered consecutively from `first` in this epoch."""

    epoch: int
    first: int
