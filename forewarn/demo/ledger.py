"""Counts what was lost or doubled: the agents' own ledgers against the rows that really are in the lake.

The ledger is written by each agent beside its delivery path, one line per group of records that it kept; the lake is
read row by row. Neither side uses the other's bookkeeping.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from cloud.catalogue.tables import alert_taken, quarantine
from cloud.gateway.records import Kind

if TYPE_CHECKING:
    from cloud.wiring import Cloud

Identity = tuple[str, int, int]  # device, epoch, sequence
LAKE_KINDS = tuple(kind.label for kind in Kind)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What the ledgers say was produced, against what is stored."""

    produced: int
    stored: int
    lost: int
    duplicated: int
    quarantined: int
    windows_stored: int
    by_kind: dict[str, int]  # produced


def read_ledger(device: str, file: Path) -> Iterable[tuple[Identity, str]]:
    """Yield each record's identity and kind from an agent's ledger (`epoch first count kind` a line)."""
    for line in file.read_text().splitlines():
        if line == "end":
            return
        epoch, first, count, kind = line.split()
        for sequence in range(int(first), int(first) + int(count)):
            yield (device, int(epoch), sequence), kind


@dataclass(frozen=True, slots=True)
class Tally:
    """How far an agent is, read from its ledger."""

    windows: int
    records: int  # that travel by the stream; alerts have a call of their own
    ended: bool  # its source has no more windows


def tally(file: Path) -> Tally:
    """Sum up a ledger that may still be growing."""
    windows = records = 0
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    ended = bool(lines) and lines[-1] == "end\n"
    for line in lines:
        if not line.endswith("\n") or line == "end\n":
            continue
        _, _, count, kind = line.split()
        windows += int(count) if kind == "health" else 0
        records += int(count) if kind != "alert" else 0
    return Tally(windows, records, ended)


def reconcile(cloud: Cloud, ledgers: dict[str, Path]) -> Reconciliation:
    """Compare every produced identity with every stored one."""
    produced: dict[Identity, str] = {}
    for device, file in ledgers.items():
        produced.update(read_ledger(device, file))
    stored: Counter[Identity] = Counter()
    rows_of = {kind: cloud.lake.rows(kind, columns=[]) for kind in LAKE_KINDS}
    for rows in rows_of.values():
        columns = (rows[name].to_pylist() for name in ("device", "epoch", "sequence"))
        stored.update(identity for identity in zip(*columns, strict=True) if identity[0] in ledgers)
    with cloud.engine.connect() as connection:
        for table in (alert_taken, quarantine):
            found = [tuple(r) for r in connection.execute(select(table.c.device, table.c.epoch, table.c.sequence))]
            stored.update(identity for identity in found if identity[0] in ledgers)
        quarantined = len(found)
    return Reconciliation(
        produced=len(produced),
        stored=sum(stored.values()),
        lost=len(produced.keys() - stored.keys()),
        duplicated=sum(n - 1 for n in stored.values()),
        quarantined=quarantined,
        windows_stored=sum(device in ledgers for device in rows_of["health"]["device"].to_pylist()),
        by_kind=dict(Counter(produced.values())),
    )


def spans_ns(cloud: Cloud) -> dict[str, tuple[int, int]]:
    """Event times of each machine's first and last stored window."""
    table = cloud.lake.rows("health", columns=[]).group_by("machine")
    rows = table.aggregate([("event_time_ns", "min"), ("event_time_ns", "max")]).to_pylist()
    return {r["machine"]: (r["event_time_ns_min"], r["event_time_ns_max"]) for r in rows}
