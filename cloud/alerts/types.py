"""What an alert is in the cloud. The gateway makes `IncomingAlert` of the wire; nothing here knows the wire."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cloud.quality import SUSPECT_CLOCK
from models.errors import ForewarnError


class NumberReused(ForewarnError):
    """The number of an alert names another one already: two stores of one device, or one that came from a backup."""


class Change(enum.StrEnum):
    """What a device says of an alarm (ISA-18.2: returning to normal is a change of the same alarm)."""

    RAISED = "raised"
    WORSENED = "worsened"
    RETURNED = "returned"


class State(enum.StrEnum):
    """Where the crew's work on an alert stands."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    IN_WORK = "in_work"
    RESOLVED = "resolved"


class Outcome(enum.StrEnum):
    """What the crew found: the label the next model learns from."""

    CONFIRMED = "confirmed"
    NOT_A_FAULT = "not_a_fault"
    PROCESS_CHANGE = "process_change"
    SENSOR_FAULT = "sensor_fault"
    PART_REPLACED = "part_replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One figure that speaks for an alert, beside what it is compared with; None is a figure that was not finite."""

    feature: str  # a feature id, `rms@1`
    channel: str
    unit: str
    value: float | None
    baseline: float | None
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingAlert:
    """One change of one alarm, as the device said it."""

    key: str  # the same for all changes of one alarm, unique within the device
    change: Change
    machine: str
    channel: str
    event_time_ns: int  # ns since 1970 in the source's time base
    severity: str  # zones of ISO 20816: A B C D
    confidence: str  # unsure | quite_sure | sure
    part: str  # catalogue keys, not sentences: `bearing`, `outer_race`
    fault: str
    source: str  # `baseline`, or the name of a bundle
    score: float | None
    threshold: float | None
    remaining_life_s: tuple[float, float, float] | None = None  # p05, p50, p95 in seconds; None is "no estimate"
    no_estimate_reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    replay: bool = False
    simulated: bool = False
    quality: int = 0  # bit flags of the window that changed it; 0 in what was taken before devices said it

    @property
    def clock_in_doubt(self) -> bool:
        """Whether the device doubted its own clock: the alarm holds, its time may not."""
        return bool(self.quality & SUSPECT_CLOCK)

    @property
    def finding(self) -> str:
        """The key of the words for it: without a model, "degradation" only means unlike its healthy start."""
        return "deviation" if self.fault == "degradation" and self.source == "baseline" else self.fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert as the crew sees it."""

    id: int
    site: str
    device: str
    machine: str
    state: State
    active: bool  # the condition still holds on the device
    outcome: Outcome | None
    severity: str  # the worst so far
    raised_ns: int  # event time of the first change
    received_ns: int
    said: IncomingAlert  # the alarm as the device last said it


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of an alert's timeline: who did what, and when (ns since 1970)."""

    time_ns: int
    who: str
    what: str  # raised | worsened | returned | acknowledged | in_work | resolved | asked_raw | note
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOrder:
    """The newest order to send the flight recorder's raw windows around an alert's beginning (times in ns)."""

    id: int
    who: str
    asked_ns: int
    told_ns: int | None  # None: the device did not hear it yet

    @property
    def source(self) -> str:
        """What the records that answer it say where they come from."""
        return f"flight/{self.id}"
