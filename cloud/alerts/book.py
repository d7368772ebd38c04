"""The book of alerts: each change of an alarm is taken exactly once, each tap of a person counts once.

A raise is committed with its identity (device, epoch, sequence) in one transaction, so that a device that never heard
the answer may ask again. Two gateways that take the same alarm at the same time meet at the unique keys: the loser
starts over and finds the winner's row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from cloud.alerts import rules
from cloud.alerts.types import Alert, Event, IncomingAlert, NumberReused, Outcome, RawOrder, State
from cloud.catalogue import alerts as sql
from cloud.catalogue.access import reading, writing
from cloud.catalogue.alerts import Device
from models.errors import Unavailable, WrongUse

T = TypeVar("T")
OPEN = (State.NEW, State.ACKNOWLEDGED, State.IN_WORK)
_TRIES = 4  # lost races in a row before the caller hears of it
_LONGEST_NOTE = 2000


@dataclass(frozen=True, slots=True)
class Detail:
    """One alert with its timeline, the oldest event first."""

    alert: Alert
    events: list[Event]


@dataclass(frozen=True, slots=True)
class _Tap:
    """What a person did, once: the key makes a second arrival of the same tap harmless."""

    who: str
    what: str
    note: str
    idempotency_key: str | None
    outcome: Outcome | None = None

    @property
    def text(self) -> str:
        """The line in the timeline: the outcome's key first, then the person's own words."""
        parts = [str(self.outcome) if self.outcome else "", self.note]
        return ": ".join(part for part in parts if part)[:_LONGEST_NOTE]


class AlertBook:
    """All alerts of one enterprise; synchronous, safe in threads, raises `Unavailable` when the catalogue is away."""

    def __init__(self, engine: Engine, enterprise: str, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._engine = engine
        self._enterprise = enterprise
        self._clock = clock

    def take(self, site: str, device: str, epoch: int, sequence: int, said: IncomingAlert) -> int:
        """Take one change of one alarm and return the alert's number; taking it again returns the same number.

        `NumberReused` when epoch and sequence name another change already.
        """
        owner = Device(self._enterprise, site, device)
        return self._write(lambda c: self._take(c, owner, epoch, sequence, said))

    def acknowledge(self, alert_id: int, who: str, *, note: str = "", idempotency_key: str | None = None) -> Alert:
        """Say that somebody has seen it; the device is told."""
        return self._tap(alert_id, _Tap(who, "acknowledged", note, idempotency_key), rules.acknowledged)

    def start(self, alert_id: int, who: str, *, note: str = "", idempotency_key: str | None = None) -> Alert:
        """Say that somebody is mending it; the device is told if nobody did before."""
        return self._tap(alert_id, _Tap(who, "in_work", note, idempotency_key), rules.started)

    def resolve(
        self, alert_id: int, who: str, outcome: Outcome, *, note: str = "", idempotency_key: str | None = None
    ) -> Alert:
        """Close it with what was found; a replaced part starts a new baseline and enters the maintenance history."""
        tap = _Tap(who, "resolved", note, idempotency_key, outcome)
        return self._tap(alert_id, tap, lambda work: rules.resolved(work, outcome))

    def ask_raw(self, alert_id: int, who: str, *, idempotency_key: str | None = None) -> Alert:
        """Have the device send its raw windows around the beginning; while it did not hear that, once is enough."""

        def ask(c: Connection) -> Alert:
            row = sql.find(c, self._enterprise, alert_id, lock=True)
            if row is None:
                raise _unknown(alert_id)
            before = sql.raw_order(c, self._enterprise, row)
            waits = before is not None and before.told_ns is None
            if waits or (idempotency_key is not None and sql.tapped_before(c, idempotency_key)):
                return row
            now = self._clock()
            sql.add_command(c, self._enterprise, row, "send_flight", now)
            event = Event(time_ns=now, who=who[:100], what=sql.ASKED_RAW, note="")
            sql.add_event(c, alert_id, event, idempotency_key=idempotency_key)
            return row

        return self._write(ask)

    def raw_order(self, row: Alert) -> RawOrder | None:
        """Return the newest order for an alert's raw windows, if there was one."""
        with reading(self._engine) as c:
            return sql.raw_order(c, self._enterprise, row)

    def get(self, alert_id: int) -> Detail:
        """Return one alert with its timeline; `WrongUse` when there is none."""
        with reading(self._engine) as c:
            row = sql.find(c, self._enterprise, alert_id)
            if row is None:
                raise _unknown(alert_id)
            return Detail(row, sql.events(c, alert_id))

    def list(
        self,
        *,
        states: Collection[State] | None = OPEN,
        site: str | None = None,
        machine: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Alert]:
        """Return alerts, the newest first; `states` None means all of them."""
        with reading(self._engine) as c:
            return sql.rows(c, self._enterprise, states=states, site=site, machine=machine, before=before, limit=limit)

    def _take(self, c: Connection, owner: Device, epoch: int, sequence: int, said: IncomingAlert) -> int:
        taken = sql.find_taken(c, owner, epoch, sequence)
        if taken is not None:
            if (taken.key, taken.event_time_ns) not in {(said.key, said.event_time_ns), (said.key, None)}:
                raise NumberReused(
                    f"alert {sequence} is another one here: {taken.key!r}, not {said.key!r} of that time",
                    where=f"{owner.site}/{owner.device}",
                    mend="begin a new epoch; is there a copy of this device?",
                )
            return taken.alert
        now = self._clock()
        known = sql.find_key(c, owner, said.key)
        if known is None:
            alert_id = sql.add(c, owner, said, rules.first(said.change, said.severity), now)
        else:
            alert_id = known.id
            late = (epoch, sequence) < sql.last_change(c, alert_id)
            work = rules.changed(sql.work_of(known), said.change, said.severity, late=late)
            sql.change(c, alert_id, work, said=None if late else said)
            sql.move_start(c, alert_id, said.event_time_ns)
        sql.add_taken(c, owner, epoch, sequence, alert_id, said.event_time_ns)
        event = Event(time_ns=now, who=owner.device, what=str(said.change), note="")
        sql.add_event(c, alert_id, event, identity=(epoch, sequence))
        return alert_id

    def _tap(self, alert_id: int, tap: _Tap, rule: Callable[[rules.Work], rules.Work]) -> Alert:
        def take(c: Connection) -> Alert:
            before = sql.find(c, self._enterprise, alert_id, lock=True)
            if before is None:
                raise _unknown(alert_id)
            if tap.idempotency_key is not None and sql.tapped_before(c, tap.idempotency_key):
                return before
            work = rule(sql.work_of(before))
            if work == sql.work_of(before) and not tap.note:
                return before
            now = self._clock()
            sql.change(c, alert_id, work)
            event = Event(time_ns=now, who=tap.who[:100], what=tap.what, note=tap.text)
            sql.add_event(c, alert_id, event, idempotency_key=tap.idempotency_key)
            self._tell_device(c, before, tap, now)
            after = sql.find(c, self._enterprise, alert_id)
            assert after is not None
            return after

        return self._write(take)

    def _tell_device(self, c: Connection, before: Alert, tap: _Tap, now: int) -> None:
        if before.state is State.NEW:
            sql.add_command(c, self._enterprise, before, "acknowledge", now)
        if tap.outcome is Outcome.PART_REPLACED and before.outcome is not tap.outcome:
            sql.add_command(c, self._enterprise, before, "new_baseline", now)
            event_time = before.said.event_time_ns if before.said.replay else now  # a recording has its own time
            sql.add_replacement(c, self._enterprise, before, event_time, tap.note)

    def _write(self, change: Callable[[Connection], T]) -> T:
        for attempt in range(_TRIES):
            try:
                with writing(self._engine) as c:
                    return change(c)
            except IntegrityError as e:
                if attempt + 1 == _TRIES:
                    raise Unavailable("the alert could not be written: others change it at the same time") from e
        raise AssertionError("unreachable")


def _unknown(alert_id: int) -> WrongUse:
    return WrongUse(f"there is no alert {alert_id}", mend="`forewarn alert list --all` shows their numbers")
