"""From maintenance history to lives: what a machine's windows say is worth only what the crew found in the end.

A life runs from a machine's first window, or from its last replacement or repair, to its failure. A life that ended
without a failure (replaced in time, or still running) has no known end, so nothing is learned from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FAILED, REPLACED, REPAIRED, INSPECTED_GOOD = "failed", "replaced", "repaired", "inspected_good"
EVENTS = (FAILED, REPLACED, REPAIRED, INSPECTED_GOOD)


@dataclass(frozen=True, slots=True, order=True)
class Maintenance:
    """One line of a machine's maintenance history."""

    time_ns: int
    machine: str
    event: str  # one of EVENTS
    site: str = ""  # empty: wherever the machine of this name is


@dataclass(frozen=True, slots=True)
class Span:
    """One life of a machine: its windows have first_ns <= time <= failed_ns."""

    first_ns: int
    failed_ns: int


def split_lives(times_ns: NDArray[np.int64], history: Sequence[Maintenance]) -> list[Span]:
    """Return the lives that ended in a failure and hold at least one of `times_ns`, oldest first.

    `history` is of one machine. What lies between a failure and the next replacement or repair belongs to no life; a
    second failure without one in between is the same failure, reported again.
    """
    lives = []
    begin: int | None = -(2**63)
    for item in sorted(history):
        if item.event == FAILED:
            if begin is not None:
                inside = times_ns[(times_ns >= begin) & (times_ns <= item.time_ns)]
                if inside.size:
                    lives.append(Span(int(inside.min()), item.time_ns))
            begin = None
        elif item.event in (REPLACED, REPAIRED):
            begin = item.time_ns
    return lives


def degradation_target(share_of_life: NDArray[np.float64], healthy_share: float) -> NDArray[np.float32]:
    """Clipped linear in life: 0 up to `healthy_share`, then rising to 1 at the failure; (n,) -> (n,)."""
    return np.clip((share_of_life - healthy_share) / (1.0 - healthy_share), 0.0, 1.0).astype(np.float32)
