"""How an alert's work moves: a pure state machine, no clock and no database.

Invariants:
- The device owns `active` and `severity`, the crew owns `state` and `outcome`; neither writes the other's.
  One exception: a condition that worsens (or is raised anew) after the crew closed it is news, so it opens again.
- `severity` is the worst so far: it never falls while the alert lives.
- `outcome` is set exactly while the state is `resolved`.
- A change that arrives after a newer one (alerts are retried) adds to the timeline and the worst severity, no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloud.alerts.types import Change, Outcome, State
from models.errors import WrongUse

SEVERITIES = "ABCD"  # zones of ISO 20816, rising
_RAW_S = 1800  # of raw windows before and after the beginning; the device sends those nearest to it


@dataclass(frozen=True, slots=True)
class Work:
    """The part of an alert that changes."""

    state: State
    active: bool
    severity: str
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        assert (self.outcome is not None) == (self.state is State.RESOLVED), "an outcome belongs to a resolved alert"


def first(change: Change, severity: str) -> Work:
    """Return the work of an alert nobody has seen; also when its first change to arrive is not its first."""
    return Work(State.NEW, active=change is not Change.RETURNED, severity=_checked(severity))


def changed(work: Work, change: Change, severity: str, *, late: bool = False) -> Work:
    """Return the work after the device said `change`; `late` marks one that is older than what is known."""
    worst = max(work.severity, _checked(severity))
    if late:
        return replace(work, severity=worst)
    if change is Change.RETURNED:
        return replace(work, active=False, severity=worst)
    if work.state is State.RESOLVED:
        return Work(State.NEW, active=True, severity=worst)
    return replace(work, active=True, severity=worst)


def acknowledged(work: Work) -> Work:
    """Return the work after somebody said "I have seen it"; what is already further stays as it is."""
    return replace(work, state=State.ACKNOWLEDGED) if work.state is State.NEW else work


def started(work: Work) -> Work:
    """Return the work after somebody began to mend it; a resolved alert is refused."""
    if work.state is State.RESOLVED:
        raise WrongUse("the alert is resolved already", mend="if it is not over, a new alert will say so")
    return replace(work, state=State.IN_WORK)


def resolved(work: Work, outcome: Outcome) -> Work:
    """Return the work after the crew said what it found; saying it again corrects the outcome."""
    return replace(work, state=State.RESOLVED, outcome=outcome)


def needs_action(work: Work) -> bool:
    """Whether somebody should look: C or D, not resolved, and either still there or never seen."""
    return work.severity in "CD" and work.state is not State.RESOLVED and (work.active or work.state is State.NEW)


def raw_span(raised_ns: int) -> tuple[int, int]:
    """Return the event times, first and last (ns), of the raw windows that belong to an alert."""
    return raised_ns - _RAW_S * 1_000_000_000, raised_ns + _RAW_S * 1_000_000_000


def _checked(severity: str) -> str:
    if severity not in SEVERITIES or len(severity) != 1:
        raise WrongUse(f"severity {severity!r} is none of A, B, C, D", mend="the device's software may be newer")
    return severity
