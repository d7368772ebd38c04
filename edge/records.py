"""What a window says to the cloud: rules without I/O."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.types import Assessment, Channel, ChannelKind, FeatureRow, Kind, Machine, Record, Schema, Window
from models.features import ASSESSMENT, HEALTH

_FULL_SCALE = 32_767
_LONGEST = 65_536  # samples in one record
_HEALTH = Schema(tuple(s.id for s in HEALTH), tuple(s.unit for s in HEALTH))
_ASSESSMENT = Schema(tuple(s.id for s in ASSESSMENT), tuple(s.unit for s in ASSESSMENT))
_DEGRADATION = Schema((ASSESSMENT[0].id,), (ASSESSMENT[0].unit,))


def of_rows(window: Window, rows: Sequence[FeatureRow]) -> list[Record]:
    """A record for each channel's features."""
    return [
        Record(
            kind=row.kind,
            machine=window.machine,
            channel=row.channel,
            time_ns=window.time_ns,
            values=row.values,
            schema=row.schema,
            quality=row.quality,
        )
        for row in rows
    ]


def of_assessment(window: Window, said: Assessment) -> Record:
    """What the model said; without an estimate of the remaining life, the degradation alone."""
    values = [said.degradation, *(said.rul_s or ())]
    schema = _ASSESSMENT if said.rul_s else _DEGRADATION
    return _of_machine(Kind.ASSESSMENT, window, values, schema, said.bundle)


def of_health(window: Window, deviation: float) -> Record:
    """How far the machine is from its own healthy start."""
    return _of_machine(Kind.HEALTH, window, [deviation], _HEALTH)


def _of_machine(kind: Kind, window: Window, values: Sequence[float], schema: Schema, source: str = "") -> Record:
    return Record(
        kind=kind,
        machine=window.machine,
        channel="",
        time_ns=window.time_ns,
        values=np.array(values, np.float32),
        schema=schema,
        quality=window.quality,
        source=source,
    )


def snippets(machine: Machine, window: Window, longest: int) -> list[Record]:
    """The raw samples of each waveform channel, at most `longest` from the middle, as int16 with their scale."""
    found = []
    for channel in _fast(machine, window) if longest else ():
        start = max(0, (window.samples[channel.name].size - longest) // 2)
        found.append(_piece(window, channel, start, longest))
    return [r for r in found if r is not None]


def of_copy(window: Window, copy: bytes) -> Record:
    """A copy of what was learned up to this window."""
    return Record(
        kind=Kind.STATE,
        machine=window.machine,
        channel="",
        time_ns=window.time_ns,
        values=np.frombuffer(copy, np.uint8),
        quality=window.quality,
    )


def raw(machine: Machine, window: Window, *, source: str) -> list[Record]:
    """All raw samples of each waveform channel, as int16 with their scale, in pieces of at most 65,536."""
    found: list[Record | None] = []
    for channel in _fast(machine, window):
        starts = range(0, window.samples[channel.name].size, _LONGEST)
        found += [_piece(window, channel, start, _LONGEST, source) for start in starts]
    return [r for r in found if r is not None]


def _fast(machine: Machine, window: Window) -> list[Channel]:
    return [c for c in machine.channels if c.kind is ChannelKind.WAVEFORM and c.name in window.samples]


def _piece(window: Window, channel: Channel, start: int, longest: int, source: str = "") -> Record | None:
    """None where samples are missing or not finite: they would not fit a scale."""
    part = window.samples[channel.name][start : start + longest]
    if not part.size or not np.isfinite(part).all():
        return None
    scale = float(np.abs(part).max()) / _FULL_SCALE or 1.0
    return Record(
        kind=Kind.WAVEFORM,
        machine=window.machine,
        channel=channel.name,
        time_ns=window.time_ns + round(start / channel.rate_hz * 1e9),
        values=np.rint(part / np.float32(scale)).astype(np.int16),
        quality=window.quality_of(channel.name),
        step=1.0 / channel.rate_hz,
        scale=scale,
        source=source,
    )
