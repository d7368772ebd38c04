"""What happened to machines, in SQL: the labels that training learns from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Select, insert, select

from cloud.catalogue.tables import machine, maintenance

EVENTS = ("failed", "replaced", "repaired", "inspected_good")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceRow:
    """One line of a machine's history."""

    site: str
    machine: str
    time_ns: int
    event: str  # one of EVENTS
    part: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue knows of one machine that training needs."""

    site: str
    machine: str
    machine_class: str
    simulated: bool


def add(c: Connection, enterprise: str, rows: Iterable[MaintenanceRow]) -> int:
    """Insert what is not there yet and return how many that were; the same machine, time and event is the same."""
    added = 0
    for row in rows:
        m = maintenance.c
        key = {"enterprise": enterprise, "site": row.site, "machine": row.machine, "time_ns": row.time_ns}
        same = select(m.id).where(*(m[k] == v for k, v in key.items()), m.event == row.event)
        if c.execute(same).first() is None:
            c.execute(insert(maintenance).values(**key, event=row.event, part=row.part, note=row.note))
            added += 1
    return added


def history(c: Connection, enterprise: str) -> list[MaintenanceRow]:
    """Return the whole history, oldest first."""
    m = maintenance.c
    query: Select[tuple[str, str, int, str, str, str]] = select(
        m.site, m.machine, m.time_ns, m.event, m.part, m.note
    ).where(m.enterprise == enterprise)
    return [
        MaintenanceRow(site=r.site, machine=r.machine, time_ns=r.time_ns, event=r.event, part=r.part, note=r.note)
        for r in c.execute(query.order_by(m.time_ns, m.id))
    ]


def machines(c: Connection, enterprise: str) -> list[Known]:
    """Return every machine that ever connected, by site and name."""
    m = machine.c
    query = select(m.site, m.machine, m.machine_class, m.simulated).where(m.enterprise == enterprise)
    return [Known(*row) for row in c.execute(query.order_by(m.site, m.machine))]
