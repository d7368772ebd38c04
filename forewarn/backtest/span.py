"""What the lake knows of a span: each machine's stored rows as the windows that the device judged, and its lives.

Only rows of features are stored for every window. So what a device reads from waveforms is as it was then: sensors are
faulty where the device marked them so, and no part of a bearing is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlalchemy import select

from cloud.catalogue.tables import machine as machine_table
from edge.types import Channel, ChannelKind, FeatureRow, Kind, Machine, Quality, Schema, Window
from training.labels import Labels, Span

if TYPE_CHECKING:
    from cloud.wiring import Cloud

_IDENTITY = frozenset(
    (
        *("site", "device", "epoch", "sequence", "machine", "channel"),
        *("event_time_ns", "received_ns", "quality", "replay", "source"),
    )
)
_KINDS = {"features": Kind.FEATURES, "scalars": Kind.SCALARS}


@dataclass(frozen=True, slots=True)
class Seen:
    """One machine in the span."""

    key: str  # site/machine
    machine: Machine
    windows: Sequence[tuple[Window, list[FeatureRow]]]  # by time
    lives: Sequence[Span]


def read_span(
    cloud: Cloud, machine_class: str, labels: Labels, *, since_ns: int | None, until_ns: int | None
) -> Iterator[Seen]:
    """Yield every machine of a class with the rows that are stored of it; machines without rows are left out."""
    with cloud.engine.connect() as connection:
        query = select(machine_table).where(machine_table.c.enterprise == cloud.enterprise)
        known = connection.execute(query.order_by(machine_table.c.site, machine_table.c.machine)).all()
    for row in known:
        if row.machine_class != machine_class:
            continue
        windows = _windows(cloud, row.site, row.machine, since_ns=since_ns, until_ns=until_ns)
        if windows:
            lives = labels.of(row.site, row.machine).lives(np.array([window.time_ns for window, _ in windows]))
            yield Seen(f"{row.site}/{row.machine}", _machine(row), windows, lives)


def _machine(row: Any) -> Machine:
    channels = tuple(
        Channel(name=c["name"], kind=ChannelKind(c["kind"]), unit=c["unit"], rate_hz=c["rate_hz"])
        for c in json.loads(row.channels)
    )
    return Machine(
        name=row.machine,
        machine_class=row.machine_class,
        channels=channels,
        speed_rpm=row.speed_rpm,
        line=row.line,
        simulated=row.simulated,
    )


def _windows(
    cloud: Cloud, site: str, machine: str, *, since_ns: int | None, until_ns: int | None
) -> list[tuple[Window, list[FeatureRow]]]:
    by_time: dict[int, list[FeatureRow]] = {}
    for kind, number in _KINDS.items():
        table = cloud.lake.rows(kind, site=site, machines=[machine], since_ns=since_ns, until_ns=until_ns)
        for time_ns, row in _rows(table, number):
            by_time.setdefault(time_ns, []).append(row)
    return [(_window(machine, t, rows), rows) for t, rows in sorted(by_time.items())]


def _rows(table: pa.Table, kind: Kind) -> Iterator[tuple[int, FeatureRow]]:
    columns = [c for c in table.column_names if c not in _IDENTITY]
    if not columns or not table.num_rows:
        return
    table = table.sort_by([("event_time_ns", "ascending"), ("channel", "ascending")])
    values = np.stack([table[c].to_numpy(zero_copy_only=False).astype(np.float32) for c in columns], axis=1)
    held = ~np.isnan(values)  # a stored value is finite: a gap is a column that another row's schema has
    schemas: dict[bytes, Schema] = {}
    times, channels, quality = (table[c].to_pylist() for c in ("event_time_ns", "channel", "quality"))
    for i, mask in enumerate(held):
        key = mask.tobytes()
        if key not in schemas:
            names = tuple(c for c, there in zip(columns, mask, strict=True) if there)
            schemas[key] = Schema(names, ("",) * len(names))
        yield times[i], FeatureRow(channels[i], kind, schemas[key], values[i][mask], Quality(quality[i]))


def _window(machine: str, time_ns: int, rows: Sequence[FeatureRow]) -> Window:
    quality = Quality.GOOD
    for row in rows:
        quality |= row.quality
    faulty = frozenset(r.channel for r in rows if r.quality & Quality.SENSOR_FAULT)
    return Window(machine=machine, time_ns=time_ns, samples={}, quality=quality, faulty=faulty)
