"""What is stored of each device and epoch, what will never come, and what is missing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from cloud.catalogue import tables as t
from cloud.ranges import Ranges

Key = tuple[str, str, int]  # site, device, epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLedger:
    """One epoch of one device. Sequences up to `device_head` are stored, taken as alerts, gaps, or missing."""

    site: str
    device: str
    epoch: int
    stored: Ranges  # in the lake or in quarantine
    alerts: Ranges  # taken by the alert call
    gaps: tuple[tuple[int, int, str], ...]  # first, last, reason, as the device told
    device_head: int  # the last sequence that the device said it used
    quarantined: int
    expired: Ranges = field(default_factory=Ranges)  # of `stored`: what retention let go

    @property
    def missing(self) -> Ranges:
        """What the device used and the cloud has not (yet): on its way, or lost."""
        known = self.stored.copy()
        known.update(self.alerts)
        known.update((first, last) for first, last, _ in self.gaps)
        return known.missing(1, self.device_head) if self.device_head else Ranges()


def read(connection: Connection, enterprise: str, site: str | None = None) -> list[DeviceLedger]:
    """Return the ledgers of all devices and epochs, sorted."""
    alerts: dict[Key, Ranges] = defaultdict(Ranges)
    c = t.alert_taken.c
    query = select(c.site, c.device, c.epoch, c.sequence).where(c.enterprise == enterprise).order_by(c.sequence)
    for row in connection.execute(query):
        alerts[row.site, row.device, row.epoch].add(row.sequence)
    gaps: dict[Key, list[tuple[int, int, str]]] = defaultdict(list)
    for row in connection.execute(select(t.gap).where(t.gap.c.enterprise == enterprise).order_by(t.gap.c.first)):
        gaps[row.site, row.device, row.epoch].append((row.first, row.last, row.reason))
    q = t.quarantine.c
    counted = select(q.site, q.device, q.epoch, func.count().label("n")).where(q.enterprise == enterprise)
    refused = {
        (r.site, r.device, r.epoch): r.n for r in connection.execute(counted.group_by(q.site, q.device, q.epoch))
    }
    cursors = connection.execute(select(t.cursor).where(t.cursor.c.enterprise == enterprise)).all()
    return [
        DeviceLedger(
            site=row.site,
            device=row.device,
            epoch=row.epoch,
            stored=Ranges.decode(row.ranges),
            alerts=alerts[key],
            gaps=tuple(gaps[key]),
            device_head=row.device_head,
            quarantined=refused.get(key, 0),
            expired=Ranges.decode(row.expired or b""),
        )
        for row in sorted(cursors, key=lambda r: (r.site, r.device, r.epoch))
        if (site is None or row.site == site) and (key := (row.site, row.device, row.epoch))
    ]
