"""Whether all is well with a cloud, and what is not: one look at the catalogue and at the newest object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from cloud.catalogue import tables as t
from cloud.catalogue.access import snapshot
from cloud.lake import gaps, ledger
from cloud.lake.objects import ObjectDamaged, read_checked
from models.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

_S = 1_000_000_000
SILENT_NS = 120 * _S
CLONED_NS = 24 * 3600 * _S  # how long a cloned device is told after it was last seen
QUARANTINE_NS = 24 * 3600 * _S
_NAMED = 5  # devices named in one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What the catalogue knows of a device."""

    name: str  # site/device
    last_seen_ns: int | None
    cloned_ns: int | None
    bundle_state: str
    bundle_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one look saw."""

    now_ns: int
    devices: tuple[Device, ...]
    machines: int
    open_alerts: dict[str, int]  # by severity
    rows: int
    segments: int
    bytes: int
    newest_commit_ns: int | None
    on_their_way: int  # records
    lost: int  # records that will not come
    quarantined: int  # in the last day
    store: str  # empty, or why the newest object cannot be read


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not well, and what to do about it."""

    what: str
    mend: str


def look(engine: Engine, store: ObjectStore, enterprise: str, now_ns: int) -> Facts:
    """Gather the facts; `Unavailable` when the catalogue does not answer."""
    with snapshot(engine) as connection:
        devices = _devices(connection, enterprise)
        a, s, q, m = t.alert.c, t.segment.c, t.quarantine.c, t.machine.c
        unresolved = select(a.severity, func.count()).where(a.enterprise == enterprise, a.state != "resolved")
        alerts = {row[0]: row[1] for row in connection.execute(unresolved.group_by(a.severity).order_by(a.severity))}
        live = [s.enterprise == enterprise, s.removed.is_(None)]
        sums = connection.execute(select(func.count(), func.sum(s.rows), func.sum(s.bytes)).where(*live)).one()
        newest = connection.execute(select(s.path, s.sha256).where(*live).order_by(s.added.desc()).limit(1)).first()
        recent = select(func.count()).select_from(t.quarantine)
        recent = recent.where(q.enterprise == enterprise, q.time_ns > now_ns - QUARANTINE_NS)
        quarantined = connection.scalar(recent) or 0
        machines = connection.scalar(select(func.count()).select_from(t.machine).where(m.enterprise == enterprise))
        commit_ns = connection.scalar(select(func.max(t.lake_commit.c.time_ns)))
        books = ledger.read(connection, enterprise)
    seen = {(book.site, book.device): None for book in books}
    absences = gaps.explain(books, seen, now_ns)
    return Facts(
        now_ns=now_ns,
        devices=devices,
        machines=machines or 0,
        open_alerts=alerts,
        rows=sums[1] or 0,
        segments=sums[0],
        bytes=sums[2] or 0,
        newest_commit_ns=commit_ns,
        on_their_way=sum(one.records for one in absences if not one.final),
        lost=sum(one.records for one in absences if one.final),
        quarantined=quarantined,
        store=_read_newest(store, newest),
    )


def judge(facts: Facts) -> list[Problem]:
    """Say what is not well, the gravest first; without any I/O. Alerts are the machines' state, not the cloud's."""
    found = []
    if facts.store:
        found.append(Problem(f"the object store: {facts.store}", "see `forewarn lake verify`"))
    cloned = [d.name for d in facts.devices if d.cloned_ns and facts.now_ns - d.cloned_ns < CLONED_NS]
    if cloned:
        found.append(Problem(f"cloned: {_names(cloned)}", "two devices use one identity: give each its own store"))
    silent = [d.name for d in facts.devices if d.last_seen_ns is None or facts.now_ns - d.last_seen_ns > SILENT_NS]
    if silent:
        found.append(Problem(f"silent: {_names(silent)}", "is the device running, and does it reach a gateway?"))
    refused = [f"{d.name} ({d.bundle_reason})" for d in facts.devices if d.bundle_state == "refused"]
    if refused:
        found.append(Problem(f"model refused: {_names(refused)}", "the model before it keeps running there"))
    if facts.quarantined:
        found.append(
            Problem(f"{facts.quarantined} records put into quarantine in the last day", "see the gateway's log")
        )
    if facts.lost:
        found.append(Problem(f"{facts.lost} records will not come", "`forewarn lake gaps` says which and why"))
    return found


def _devices(connection: Connection, enterprise: str) -> tuple[Device, ...]:
    c = t.device.c
    query = select(t.device).where(c.enterprise == enterprise).order_by(c.site, c.device)
    return tuple(
        Device(
            name=f"{row.site}/{row.device}",
            last_seen_ns=row.last_seen_ns,
            cloned_ns=row.cloned_ns,
            bundle_state=row.bundle_state,
            bundle_reason=row.bundle_reason,
        )
        for row in connection.execute(query)
    )


def _read_newest(store: ObjectStore, newest: Any) -> str:
    if newest is None:
        return ""
    try:
        read_checked(store, newest.path, newest.sha256)
    except (ObjectDamaged, Unavailable) as e:
        return str(e)
    return ""


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
