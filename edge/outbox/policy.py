"""What goes first when there is no room: rules without I/O.

Oldest ordinary windows go first, then what was recorded around alarms, alerts and the reports of earlier gaps last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.outbox.types import Range, merged
from edge.types import Kind

_LAST = frozenset({Kind.ALERT, Kind.GAP})


def precious(kind: Kind) -> int:
    """0 ordinary, 1 recorded around an alarm, 2 alerts and gaps."""
    return 2 if kind in _LAST else 1 if kind is Kind.WAVEFORM else 0


KINDS_BY_WORTH = tuple(tuple(k for k in Kind if precious(k) == worth) for worth in range(3))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kept parcel as the policy sees it."""

    first: int
    last: int
    size: int


def choose(oldest_first: Iterable[Candidate], bytes_to_free: int) -> tuple[list[Candidate], int]:
    """The oldest parcels that free so many bytes, and how many bytes they do free; fewer if there are no more."""
    chosen: list[Candidate] = []
    freed = 0
    for candidate in oldest_first:
        if freed >= bytes_to_free:
            break
        chosen.append(candidate)
        freed += candidate.size
    return chosen, freed


def ranges_of(dropped: Iterable[Candidate]) -> list[Range]:
    """What the gap report will say."""
    return merged((c.first, c.last) for c in dropped)
