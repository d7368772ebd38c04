"""The files of C-MAPSS: tables of `unit`, `cycle` and sensors, as recordings of slow channels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edge.sensors.recording import Reading, Recording
from edge.types import Channel, ChannelKind, Machine
from models.errors import RecordingRejected

CYCLE_S = 3600.0  # of event time: a flight takes about so long, and rates over minutes mean nothing here
_NAME = re.compile(r"(train|test)_(FD\d{3}).*\.parquet")
_SENSOR = re.compile(r"s\d+")
_STILL = 1e-9


@dataclass(frozen=True, slots=True)
class Subset:
    """One table: n rows in the order of unit and cycle."""

    path: Path
    unit: NDArray[np.int64]  # (n,)
    cycle: NDArray[np.int64]  # (n,)
    sensors: Mapping[str, NDArray[np.float32]]  # (n,) each

    @property
    def units(self) -> list[int]:
        """The units, sorted."""
        return [int(u) for u in np.unique(self.unit)]

    def lengths(self) -> dict[int, int]:
        """The last cycle of each unit."""
        return {u: int(self.cycle[self.unit == u].max()) for u in self.units}


def subsets(folder: Path, kind: str) -> dict[str, Subset]:
    """Return the tables of a folder by FDnnn: those called `kind`, or all where none is."""
    found = [(m, p) for p in sorted(folder.iterdir()) if (m := _NAME.fullmatch(p.name))]
    named = [(m, p) for m, p in found if m[1] == kind] or found
    if not named:
        raise RecordingRejected(f"no {kind}_FDnnn*.parquet", where=str(folder), mend="name the right folder")
    by_name: dict[str, Subset] = {}
    for match, path in named:
        if match[2] in by_name:
            raise RecordingRejected(f"a second table of {match[2]}", where=str(path), mend="keep one of them")
        by_name[match[2]] = _read(path)
    return by_name


def _read(path: Path) -> Subset:
    try:
        table = pq.read_table(path)
        table = table.sort_by([("unit", "ascending"), ("cycle", "ascending")])
        unit, cycle = (table[c].to_numpy().astype(np.int64) for c in ("unit", "cycle"))
        sensors = {c: table[c].to_numpy().astype(np.float32) for c in table.column_names if _SENSOR.fullmatch(c)}
    except (ValueError, KeyError, TypeError, OSError) as e:
        raise RecordingRejected(f"is no table of unit, cycle and sensors: {e}", where=str(path)) from e
    if not len(unit) or not sensors:
        raise RecordingRejected("has no row, or no sensor", where=str(path))
    return Subset(path, unit, cycle, sensors)


def channels(taught: Subset, asked: Subset) -> list[str]:
    """The sensors that both tables have and that move in the first."""
    shared = [s for s in taught.sensors if s in asked.sensors]
    moving = [s for s in shared if np.nanstd(taught.sensors[s].astype(np.float64)) > _STILL]
    if not moving:
        raise RecordingRejected("has no sensor that moves and that the train units have", where=str(asked.path))
    return sorted(moving, key=lambda s: int(s[1:]))


def recordings(subset: Subset, names: Sequence[str]) -> Iterator[Recording]:
    """Return each unit as a recording, a window a cycle; the name of a unit's machine is its number."""
    slow = tuple(Channel(name=s, kind=ChannelKind.SCALAR, unit="1", rate_hz=1.0 / CYCLE_S) for s in names)
    for unit in subset.units:
        machine = Machine(name=str(unit), machine_class="turbofan", channels=slow, simulated=True)
        yield Recording(machine=machine, path=subset.path, read=partial(_readings, subset, unit, names)).checked()


def _readings(subset: Subset, unit: int, names: Sequence[str]) -> Iterator[Reading]:
    at = np.flatnonzero(subset.unit == unit)
    first = int(subset.cycle[at[0]])
    for row in at:
        samples = {s: subset.sensors[s][row : row + 1] for s in names}
        yield Reading(int((int(subset.cycle[row]) - first) * CYCLE_S * 1e9), samples)
