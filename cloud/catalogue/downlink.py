"""What devices are told, and what they answer: assignments, commands, and what became of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from cloud.catalogue import tables as t
from cloud.catalogue.upsert import upsert


@dataclass(frozen=True, slots=True)
class Order:
    """A command that a device did not hear yet."""

    id: int
    machine: str
    kind: str
    alert_key: str


@dataclass(frozen=True, slots=True)
class Downlink:
    """Everything that any device may have to hear."""

    assigned: Mapping[str, str]  # bundle by machine class
    orders: Mapping[tuple[str, str], tuple[Order, ...]]  # by site and device


def read(connection: Connection, enterprise: str) -> Downlink:
    """Return what is assigned and what is undelivered."""
    query = select(t.assignment.c.machine_class, t.assignment.c.bundle).where(t.assignment.c.enterprise == enterprise)
    assigned = {row.machine_class: row.bundle for row in connection.execute(query)}
    c = t.command.c
    waiting = select(t.command).where(c.enterprise == enterprise, c.delivered_ns.is_(None)).order_by(c.id)
    orders: dict[tuple[str, str], tuple[Order, ...]] = {}
    for row in connection.execute(waiting):
        owner = (row.site, row.device)
        orders[owner] = (*orders.get(owner, ()), Order(row.id, row.machine, row.kind, row.alert_key))
    return Downlink(assigned, orders)


def delivered(connection: Connection, order: Order, now_ns: int) -> None:
    """Note that a device was sent `order`."""
    connection.execute(update(t.command).where(t.command.c.id == order.id).values(delivered_ns=now_ns))


def newest_baselines(connection: Connection, enterprise: str, site: str) -> dict[str, int]:
    """Return when the crew last ordered a new baseline for each machine of a site, whatever device it had."""
    c = t.command.c
    query = select(c.machine, func.max(c.created_ns)).group_by(c.machine)
    rows = connection.execute(query.where(c.enterprise == enterprise, c.site == site, c.kind == "new_baseline"))
    return {machine: int(created_ns) for machine, created_ns in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a bundle on a device."""

    site: str
    device: str
    bundle: str
    running: bool
    reason: str


def report(connection: Connection, enterprise: str, said: Report, now_ns: int) -> None:
    """Write a report into the device's row; a refused bundle leaves the running one's name."""
    row: dict[str, object] = {
        "enterprise": enterprise,
        "site": said.site,
        "device": said.device,
        "bundle_state": "running" if said.running else "refused",
        "bundle_reason": "" if said.running else f"{said.bundle}: {said.reason}",
        "bundle_changed_ns": now_ns,
        "last_seen_ns": now_ns,
    }
    if said.running:
        row["running_bundle"] = said.bundle
    key = {"enterprise", "site", "device"}
    upsert(connection, t.device, [row], update=[name for name in row if name not in key])
