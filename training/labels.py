"""From what the crews found to labels: a machine's windows are worth only what the crew found in the end.

* A life runs from a machine's first window, or from its last replacement or repair, to its failure, its next repair, or
  to where its windows end. Only one that ended in a failure has a known end.
* What an inspection found good was good until then; what an alarm pointed at is what its verdict says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FAILED, REPLACED, REPAIRED, INSPECTED_GOOD = "failed", "replaced", "repaired", "inspected_good"
EVENTS = (FAILED, REPLACED, REPAIRED, INSPECTED_GOOD)
HEALTHY, FAULTY, SENSOR = "healthy", "faulty", "sensor"  # what a verdict says of its windows


@dataclass(frozen=True, slots=True, order=True)
class Maintenance:
    """One line of a machine's maintenance history."""

    time_ns: int
    machine: str
    event: str  # one of EVENTS
    site: str = ""  # empty: wherever the machine of this name is


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the crew found where an alarm stood, from its first change to its last."""

    first_ns: int
    last_ns: int
    machine: str
    finding: str  # HEALTHY, FAULTY or SENSOR
    site: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """One life of a machine: its windows have begin_ns <= time <= end_ns."""

    begin_ns: int
    end_ns: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Labels:
    """All that the crews found, of all machines or of one."""

    history: Sequence[Maintenance] = ()
    verdicts: Sequence[Verdict] = ()

    def only(self, machines: Collection[tuple[str, str]]) -> Labels:
        """What was found of some machines, by site and name."""
        return Labels(
            [m for m in self.history if (m.site, m.machine) in machines],
            [v for v in self.verdicts if (v.site, v.machine) in machines],
        )

    def of(self, site: str, machine: str) -> Labels:
        """What was found of one machine."""
        return Labels(
            [m for m in self.history if m.machine == machine and m.site in ("", site)],
            [v for v in self.verdicts if v.machine == machine and v.site in ("", site)],
        )

    def lives(self, times_ns: NDArray[np.int64]) -> list[Span]:
        """The lives of one machine that hold at least one of `times_ns`, which rise, oldest first.

        What lies between a failure and the repair after it belongs to no life; a second failure without a repair in
        between is the same failure, reported again.
        """
        lives: list[Span] = []
        begin: int | None = -(2**63)
        for item in sorted(self.history):
            if item.event == INSPECTED_GOOD:
                continue
            failed = item.event == FAILED
            if begin is not None:
                inside = times_ns[(times_ns >= begin) & (times_ns <= item.time_ns)]
                if inside.size:
                    lives.append(Span(int(inside[0]), item.time_ns if failed else int(inside[-1]), failed))
            begin = None if failed else item.time_ns + 1
        if begin is not None and (rest := times_ns[times_ns >= begin]).size:
            lives.append(Span(int(rest[0]), int(rest[-1]), failed=False))
        return lives

    def found(self, times_ns: NDArray[np.int64], findings: Collection[str]) -> NDArray[np.bool_]:
        """(n,) whether each of one machine's windows lies where a verdict found one of `findings`."""
        at = np.zeros(times_ns.shape, np.bool_)
        for v in self.verdicts:
            if v.finding in findings:
                at |= (times_ns >= v.first_ns) & (times_ns <= v.last_ns)
        return at

    def good(self, times_ns: NDArray[np.int64], life: Span) -> NDArray[np.bool_]:
        """(n,) whether each of one machine's windows in a life is known to be healthy.

        It is where an inspection found nothing later in the same life, and where an alarm was found to be none.
        """
        inspected = [m.time_ns for m in self.history if m.event == INSPECTED_GOOD and m.time_ns >= life.begin_ns]
        until = max((t for t in inspected if t <= life.end_ns), default=-(2**63))
        inside = (times_ns >= life.begin_ns) & (times_ns <= life.end_ns)
        return inside & ((times_ns <= until) | self.found(times_ns, (HEALTHY,)))


def degradation_target(share_of_life: NDArray[np.float64], healthy_share: float) -> NDArray[np.float32]:
    """Clipped linear in life: 0 up to `healthy_share`, then rising to 1 at the failure; (n,) -> (n,)."""
    return np.clip((share_of_life - healthy_share) / (1.0 - healthy_share), 0.0, 1.0).astype(np.float32)
