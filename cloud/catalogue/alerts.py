"""The alerts' SQL, and nothing else: which change is allowed is decided in `cloud.alerts.rules`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from cloud.alerts.rules import Work
from cloud.alerts.types import Alert, Event, IncomingAlert, Outcome, RawOrder, State
from cloud.catalogue.tables import alert, alert_event, alert_taken, command, maintenance

ASKED_RAW = "asked_raw"  # in the timeline


@dataclass(frozen=True, slots=True)
class Device:
    """Whose alerts: the first parts of every key."""

    enterprise: str
    site: str
    device: str


def work_of(row: Alert) -> Work:
    """Return the changing part of an alert."""
    return Work(row.state, row.active, row.severity, row.outcome)


@dataclass(frozen=True, slots=True)
class Taken:
    """A raise that was taken."""

    alert: int  # that it made or changed
    key: str
    event_time_ns: int | None  # None: taken before this was kept


def find_taken(c: Connection, device: Device, epoch: int, sequence: int) -> Taken | None:
    """Return what was taken under this number, if anything was."""
    t = alert_taken.c
    query = select(t.alert, alert.c.key, t.event_time_ns).join_from(alert_taken, alert, alert.c.id == t.alert)
    row = c.execute(query.where(*_of(t, device), t.epoch == epoch, t.sequence == sequence)).one_or_none()
    return None if row is None else Taken(*row)


def find_key(c: Connection, device: Device, key: str) -> Alert | None:
    """Return the alert under the device's key, locked for this transaction."""
    row = c.execute(select(alert).where(*_of(alert.c, device), alert.c.key == key).with_for_update()).one_or_none()
    return None if row is None else _read(row)


def find(c: Connection, enterprise: str, alert_id: int, *, lock: bool = False) -> Alert | None:
    """Return one alert by its number."""
    query = select(alert).where(alert.c.enterprise == enterprise, alert.c.id == alert_id)
    row = c.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _read(row)


def last_change(c: Connection, alert_id: int) -> tuple[int, int]:
    """Return (epoch, sequence) of the newest change the device made."""
    e = alert_event.c
    query = select(e.epoch, e.sequence).where(e.alert == alert_id, e.epoch.is_not(None))
    row = c.execute(query.order_by(e.epoch.desc(), e.sequence.desc()).limit(1)).one_or_none()
    return (0, 0) if row is None else (int(row.epoch), int(row.sequence))


def add(c: Connection, device: Device, said: IncomingAlert, work: Work, received_ns: int) -> int:
    """Insert a new alert and return its number; the device's key is unique."""
    result = c.execute(
        insert(alert).values(
            enterprise=device.enterprise,
            site=device.site,
            device=device.device,
            key=said.key,
            machine=said.machine,
            raised_ns=said.event_time_ns,
            received_ns=received_ns,
            content=_content(said),
            **_columns(work),
        )
    )
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def change(c: Connection, alert_id: int, work: Work, *, said: IncomingAlert | None = None) -> None:
    """Write the work, and what the device last said where it said something new."""
    values = _columns(work) | ({} if said is None else {"content": _content(said)})
    c.execute(update(alert).where(alert.c.id == alert_id).values(**values))


def move_start(c: Connection, alert_id: int, raised_ns: int) -> None:
    """Move the beginning back: an older change arrived late."""
    c.execute(update(alert).where(alert.c.id == alert_id, alert.c.raised_ns > raised_ns).values(raised_ns=raised_ns))


def add_taken(c: Connection, device: Device, epoch: int, sequence: int, alert_id: int, event_time_ns: int) -> None:
    """Remember that this raise is done; a second one violates the primary key."""
    c.execute(
        insert(alert_taken).values(
            enterprise=device.enterprise,
            site=device.site,
            device=device.device,
            epoch=epoch,
            sequence=sequence,
            alert=alert_id,
            event_time_ns=event_time_ns,
        )
    )


def add_event(
    c: Connection,
    alert_id: int,
    event: Event,
    *,
    identity: tuple[int, int] | None = None,
    idempotency_key: str | None = None,
) -> None:
    """Append to the timeline; `identity` is the device's (epoch, sequence)."""
    epoch, sequence = identity or (None, None)
    c.execute(
        insert(alert_event).values(
            alert=alert_id,
            epoch=epoch,
            sequence=sequence,
            time_ns=event.time_ns,
            who=event.who,
            what=event.what,
            note=event.note,
            idempotency_key=idempotency_key,
        )
    )


def tapped_before(c: Connection, idempotency_key: str) -> bool:
    """Whether this tap of a person was taken before."""
    query = select(alert_event.c.id).where(alert_event.c.idempotency_key == idempotency_key)
    return c.execute(query).first() is not None


def add_command(c: Connection, enterprise: str, row: Alert, kind: str, created_ns: int) -> None:
    """Queue an answer for the device: `acknowledge`, `new_baseline` or `send_flight`."""
    c.execute(
        insert(command).values(
            enterprise=enterprise,
            site=row.site,
            device=row.device,
            machine=row.machine,
            kind=kind,
            alert_key=row.said.key,
            created_ns=created_ns,
        )
    )


def raw_order(c: Connection, enterprise: str, row: Alert) -> RawOrder | None:
    """Return the newest order for raw windows around an alert."""
    k, e = command.c, alert_event.c
    same = (e.alert == row.id, e.what == ASKED_RAW, e.time_ns == k.created_ns)
    query = select(k.id, e.who, k.created_ns, k.delivered_ns).join_from(command, alert_event, and_(*same))
    where = (*_of(k, Device(enterprise, row.site, row.device)), k.kind == "send_flight", k.alert_key == row.said.key)
    found = c.execute(query.where(*where).order_by(k.id.desc()).limit(1)).one_or_none()
    return None if found is None else RawOrder(id=found[0], who=found[1], asked_ns=found[2], told_ns=found[3])


def add_replacement(c: Connection, enterprise: str, row: Alert, time_ns: int, note: str) -> None:
    """Write "replaced" into the machine's maintenance history, once for a time."""
    m = maintenance.c
    key = {"enterprise": enterprise, "site": row.site, "machine": row.machine, "time_ns": time_ns, "event": "replaced"}
    if c.execute(select(m.id).where(*(m[name] == value for name, value in key.items()))).first() is None:
        c.execute(insert(maintenance).values(**key, part=row.said.part, note=note))


def rows(
    c: Connection,
    enterprise: str,
    *,
    states: Collection[State] | None = None,
    site: str | None = None,
    machine: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Alert]:
    """Return alerts, the newest first; `before` is the number of the last one of the page before."""
    a = alert.c
    where = [a.enterprise == enterprise]
    where += [a.state.in_([str(s) for s in states])] if states is not None else []
    where += [a.site == site] if site is not None else []
    where += [a.machine == machine] if machine is not None else []
    where += [a.id < before] if before is not None else []
    return [_read(r) for r in c.execute(select(alert).where(and_(*where)).order_by(a.id.desc()).limit(limit))]


def resolved(c: Connection, enterprise: str) -> list[tuple[Alert, int]]:
    """Return every resolved alert with the time of its last verdict, by number."""
    e = alert_event.c
    last = select(e.alert, func.max(e.time_ns).label("at")).where(e.what == "resolved").group_by(e.alert).subquery()
    query = select(alert, last.c.at).join(last, last.c.alert == alert.c.id)
    where = alert.c.enterprise == enterprise, alert.c.state == str(State.RESOLVED)
    return [(_read(row), int(row.at)) for row in c.execute(query.where(*where).order_by(alert.c.id))]


def events(c: Connection, alert_id: int) -> list[Event]:
    """Return an alert's timeline, the oldest first."""
    e = alert_event.c
    query = select(e.time_ns, e.who, e.what, e.note).where(e.alert == alert_id).order_by(e.id)
    return [Event(time_ns=r.time_ns, who=r.who, what=r.what, note=r.note) for r in c.execute(query)]


def _of(columns: Any, device: Device) -> list[ColumnElement[bool]]:
    return [getattr(columns, name) == getattr(device, name) for name in ("enterprise", "site", "device")]


def _columns(work: Work) -> dict[str, object]:
    outcome = None if work.outcome is None else str(work.outcome)
    return {"state": str(work.state), "active": work.active, "severity": work.severity, "outcome": outcome}


def _content(said: IncomingAlert) -> str:
    return msgspec.json.encode(said).decode()


def _read(row: Row[tuple[object, ...]]) -> Alert:
    return Alert(
        id=row.id,
        site=row.site,
        device=row.device,
        machine=row.machine,
        state=State(row.state),
        active=row.active,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        severity=row.severity,
        raised_ns=row.raised_ns,
        received_ns=row.received_ns,
        said=msgspec.json.decode(row.content, type=IncomingAlert),
    )
