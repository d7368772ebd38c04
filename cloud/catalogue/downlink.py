"""What devices are told, and what they answer: assignments, commands, and what became of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from cloud.alerts.rules import raw_span
from cloud.catalogue import tables as t
from cloud.catalogue.upsert import upsert


@dataclass(frozen=True, slots=True)
class Order:
    """A command that a device did not hear yet."""

    id: int
    machine: str
    kind: str
    alert_key: str
    from_ns: int = 0  # event times of the raw windows that are asked for
    to_ns: int = 0


@dataclass(frozen=True, slots=True)
class Downlink:
    """Everything that any device may have to hear."""

    assigned: Mapping[str, str]  # bundle by machine class
    orders: Mapping[tuple[str, str], tuple[Order, ...]]  # by site and device


def read(connection: Connection, enterprise: str) -> Downlink:
    """Return what is assigned and what is undelivered."""
    query = select(t.assignment.c.machine_class, t.assignment.c.bundle).where(t.assignment.c.enterprise == enterprise)
    assigned = {row.machine_class: row.bundle for row in connection.execute(query)}
    c, a = t.command.c, t.alert.c
    its_alert = and_(*(a[name] == c[name] for name in ("enterprise", "site", "device")), a.key == c.alert_key)
    waiting = select(t.command, a.raised_ns).join_from(t.command, t.alert, its_alert, isouter=True)
    waiting = waiting.where(c.enterprise == enterprise, c.delivered_ns.is_(None)).order_by(c.id)
    orders: dict[tuple[str, str], tuple[Order, ...]] = {}
    for row in connection.execute(waiting):
        owner = (row.site, row.device)
        orders[owner] = (*orders.get(owner, ()), _order(row))
    return Downlink(assigned, orders)


def _order(row: Row[Any]) -> Order:
    asks = row.kind == "send_flight" and row.raised_ns is not None
    span = raw_span(row.raised_ns) if asks else (0, 0)
    return Order(row.id, row.machine, row.kind, row.alert_key, *span)


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
