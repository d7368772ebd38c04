"""Says what is missing of each device and why, so that nobody has to guess whether it will still come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from cloud.catalogue import tables as t
from cloud.catalogue.access import snapshot
from cloud.lake import ledger
from cloud.lake.ledger import DeviceLedger
from cloud.ranges import Ranges

if TYPE_CHECKING:
    from sqlalchemy import Engine

SILENT_NS = 120 * 1_000_000_000  # after that, what is missing waits for the device rather than for the gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Records that a device used numbers for and that the lake has not."""

    site: str
    device: str
    epoch: int
    first: int
    last: int
    reason: str
    final: bool  # nothing will bring them back

    @property
    def records(self) -> int:
        """How many."""
        return self.last - self.first + 1


def read(engine: Engine, enterprise: str, *, now_ns: int, site: str | None = None) -> list[Absence]:
    """Return what is missing of every device, in the order of devices, epochs and numbers."""
    d = t.device.c
    with snapshot(engine) as connection:
        books = ledger.read(connection, enterprise, site)
        rows = connection.execute(select(d.site, d.device, d.last_seen_ns).where(d.enterprise == enterprise))
        seen = {(row.site, row.device): row.last_seen_ns for row in rows}
    return explain(books, seen, now_ns)


def explain(books: Iterable[DeviceLedger], seen_ns: Mapping[tuple[str, str], int | None], now_ns: int) -> list[Absence]:
    """Give each missing range its reason, without any I/O."""
    books = list(books)
    newest: dict[tuple[str, str], int] = {}
    for one in books:
        newest[one.site, one.device] = max(one.epoch, newest.get((one.site, one.device), 0))
    found = []
    for one in books:
        owner = one.site, one.device
        reason, final = _why_missing(one.epoch < newest[owner], seen_ns.get(owner), now_ns)
        parts = [(first, last, reason, final) for first, last in one.missing]
        parts += _given_up(one)
        found += [
            Absence(site=one.site, device=one.device, epoch=one.epoch, first=first, last=last, reason=why, final=end)
            for first, last, why, end in sorted(parts)
        ]
    return found


def _why_missing(superseded: bool, seen_ns: int | None, now_ns: int) -> tuple[str, bool]:
    if superseded:
        return "the device began a newer epoch; what it still held of this one it sends under new numbers", True
    if seen_ns is None or now_ns - seen_ns > SILENT_NS:
        silent = "" if seen_ns is None else f" for {(now_ns - seen_ns) / 3.6e12:.1f} h"
        return f"the device is silent{silent}; it holds them until it is back", False
    return "on their way", False


def _given_up(one: DeviceLedger) -> list[tuple[int, int, str, bool]]:
    """Return the gaps that the device told, without what came all the same."""
    parts = []
    there = one.stored.copy()
    there.update(one.alerts)
    for first, last, reason in one.gaps:
        absent = Ranges([(first, last)])
        for lo, hi in there.overlap(first, last):
            absent.remove(lo, hi)
        parts += [(lo, hi, reason, True) for lo, hi in absent]
        there.update([(first, last)])  # two gaps that overlap count once
    return parts
