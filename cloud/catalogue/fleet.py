"""What the pages read of the catalogue: machines, their latest values, devices, bundles. Only reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, func, select

from cloud.catalogue.tables import alert_event, assignment, bundle, device, latest, machine, segment
from models.manifest import Manifest

SUMMARY_METRICS = ("degradation@1", "rul_p05@1", "rul_p50@1", "rul_p95@1", "deviation@1")


class ChannelRow(msgspec.Struct, frozen=True):
    """One measured quantity, as the device announced it."""

    name: str
    unit: str = ""
    rate_hz: float = 0.0
    kind: str = ""  # waveform | scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRow:
    """One machine, as its device announced it."""

    site: str
    machine: str
    device: str
    line: str
    machine_class: str
    simulated: bool
    speed_rpm: float | None
    channels: tuple[ChannelRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestRow:
    """The newest value of one metric."""

    channel: str  # empty: the machine as a whole
    metric: str
    value: float
    event_time_ns: int
    received_ns: int
    source: str
    replay: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One device and what it runs."""

    site: str
    device: str
    software_version: str
    running_bundle: str
    bundle_state: str  # running | refused | empty
    bundle_reason: str
    bundle_changed_ns: int | None
    last_seen_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow:
    """One published model; `manifest` is None where a newer Forewarn wrote what this one cannot read."""

    name: str
    machine_class: str
    sha256: str
    bytes: int
    manifest: Manifest | None
    published_ns: int
    state: str  # candidate | champion | retired | blocked
    assigned: bool


@dataclass(frozen=True, slots=True)
class Stamp:
    """Changes when anything that a page shows has changed; `received_ns` is when the last data came in."""

    received_ns: int
    change: int


def machines(c: Connection, enterprise: str, *, name: str | None = None) -> list[MachineRow]:
    """Return the machines, by site and name; `name` picks one name (of each site that has it)."""
    query = select(machine).where(machine.c.enterprise == enterprise)
    query = query if name is None else query.where(machine.c.machine == name)
    return [
        MachineRow(
            site=r.site,
            machine=r.machine,
            device=r.device,
            line=r.line,
            machine_class=r.machine_class,
            simulated=r.simulated,
            speed_rpm=r.speed_rpm,
            channels=msgspec.json.decode(r.channels, type=tuple[ChannelRow, ...]),
        )
        for r in c.execute(query.order_by(machine.c.site, machine.c.machine))
    ]


def latest_values(
    c: Connection,
    enterprise: str,
    *,
    site: str | None = None,
    name: str | None = None,
    metrics: Collection[str] | None = None,
) -> dict[tuple[str, str], list[LatestRow]]:
    """Return the newest values by (site, machine)."""
    t = latest.c
    query = select(latest).where(t.enterprise == enterprise)
    query = query if site is None else query.where(t.site == site)
    query = query if name is None else query.where(t.machine == name)
    query = query if metrics is None else query.where(t.metric.in_(list(metrics)))
    found: dict[tuple[str, str], list[LatestRow]] = defaultdict(list)
    for r in c.execute(query.order_by(t.site, t.machine, t.channel, t.metric)):
        found[r.site, r.machine].append(
            LatestRow(
                channel=r.channel,
                metric=r.metric,
                value=r.value,
                event_time_ns=r.event_time_ns,
                received_ns=r.received_ns,
                source=r.source,
                replay=r.replay,
            )
        )
    return dict(found)


def last_received(c: Connection, enterprise: str) -> dict[tuple[str, str], int]:
    """Return when each (site, machine) was last heard of, over all its metrics."""
    t = latest.c
    query = select(t.site, t.machine, func.max(t.received_ns)).where(t.enterprise == enterprise)
    return {(site, name): int(ns) for site, name, ns in c.execute(query.group_by(t.site, t.machine))}


def devices(c: Connection, enterprise: str) -> list[DeviceRow]:
    """Return all devices, by site and name."""
    d = device.c
    query = select(
        d.site,
        d.device,
        d.software_version,
        d.running_bundle,
        d.bundle_state,
        d.bundle_reason,
        d.bundle_changed_ns,
        d.last_seen_ns,
    )
    rows = c.execute(query.where(d.enterprise == enterprise).order_by(d.site, d.device))
    return [DeviceRow(**r._mapping) for r in rows]


def bundles(c: Connection, enterprise: str) -> list[BundleRow]:
    """Return all published models, the newest first."""
    assigned = set(c.execute(select(assignment.c.bundle).where(assignment.c.enterprise == enterprise)).scalars())
    query = select(bundle).where(bundle.c.enterprise == enterprise).order_by(bundle.c.published_ns.desc())
    return [
        BundleRow(
            name=r.name,
            machine_class=r.machine_class,
            sha256=r.sha256,
            bytes=r.bytes,
            manifest=_manifest(r.manifest),
            published_ns=r.published_ns,
            state=r.state,
            assigned=r.name in assigned,
        )
        for r in c.execute(query)
    ]


def stamp(c: Connection, enterprise: str) -> Stamp:
    """Return what the live pages compare: a few indexed maxima, whatever the size of the fleet."""
    received = c.execute(select(func.max(latest.c.received_ns)).where(latest.c.enterprise == enterprise)).scalar()
    parts = [
        c.execute(select(func.max(alert_event.c.id))).scalar(),
        c.execute(select(func.max(assignment.c.changed_ns)).where(assignment.c.enterprise == enterprise)).scalar(),
        c.execute(select(func.max(device.c.bundle_changed_ns)).where(device.c.enterprise == enterprise)).scalar(),
        c.execute(select(func.max(bundle.c.published_ns)).where(bundle.c.enterprise == enterprise)).scalar(),
        c.execute(select(func.max(segment.c.added)).where(segment.c.enterprise == enterprise)).scalar(),
        received,
    ]
    return Stamp(received_ns=int(received or 0), change=hash(tuple(int(p or 0) for p in parts)))


def _manifest(text: str) -> Manifest | None:
    try:
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None
