"""Machines that are heard through slow channels alone: what the anomaly benchmarks share.

Recordings go through the device's own features into training, the bundle through the device's own parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edge.inference import LoadedBundle
from edge.sensors.recording import Reading, Recording
from edge.types import Quality
from forewarn.evaluation.benchmark import Say
from forewarn.training.pack import pack_bundle
from forewarn.whatif import Said, listen
from models.departures import LEVEL
from models.errors import RecordingRejected
from training.anomaly.card import write_anomaly_card
from training.anomaly.config import AnomalyConfig
from training.anomaly.seen import Run
from training.anomaly.train import train

Levels = list[tuple[float, dict[str, NDArray[np.float32]]]]


def levels(recording: Recording) -> Levels:
    """Event time in seconds and level by channel of each window, without sensors that are at fault."""
    found: Levels = []
    for said in listen(recording):
        usable = [r for r in said.rows if LEVEL in r.schema.columns and not r.quality & Quality.SENSOR_FAULT]
        at = {r.channel: r.values[[r.schema.columns.index(LEVEL)]] for r in usable}
        found.append((said.time_ns * 1e-9, at))
    return found


def bundle_of(runs: Sequence[Run], config: AnomalyConfig, machine_class: str, *, seed: int, say: Say) -> LoadedBundle:
    """Train, pack, and load what was packed as a device does."""
    model = train(runs, config, seed=seed, say=say)
    data = pack_bundle(machine_class, model, card=lambda name: write_anomaly_card(name, machine_class, model))[1]
    return LoadedBundle.read(data)


def hear(recording: Recording, bundle: LoadedBundle, say: Say) -> Iterator[Said]:
    """What is said window by window; a recording that turns out to be unusable is said, and ends."""
    try:
        yield from listen(recording, bundle)
    except RecordingRejected as e:
        say(f"cut short: {e}")


def score_of(said: Said) -> float:
    """The anomaly score, 0 while the healthy start is learned."""
    return round(said.assessment.degradation, 6) if said.assessment else 0.0


def column(file: Path, name: str) -> NDArray[Any] | None:
    """A column of a file, None where it has no such column."""
    table = pq.ParquetFile(file)
    return table.read([name])[name].to_numpy() if name in table.schema_arrow.names else None


def held(recording: Recording, names: Sequence[str]) -> NDArray[np.float64]:
    """(n, C) values of slow channels; one that was not measured in a row is what it was before, 0 before the first."""
    rows, last = [], dict.fromkeys(names, 0.0)
    for reading in recording.read():
        last |= {n: float(reading.samples[n][0]) for n in names if n in reading.samples}
        rows.append(list(last.values()))
    return np.array(rows)


def part_of(recording: Recording, machine: str, channels: Mapping[str, str]) -> Recording:
    """One machine of a rig that was recorded as one: its `channels` {new name: name in the recording}."""
    known = {c.name: c for c in recording.machine.channels}
    mine = tuple(replace(known[old], name=new) for new, old in channels.items())

    def read(whole: Callable[[], Iterator[Reading]] = recording.read) -> Iterator[Reading]:
        for reading in whole():
            samples = {new: reading.samples[old] for new, old in channels.items() if old in reading.samples}
            faulty = frozenset(new for new, old in channels.items() if old in reading.faulty)
            yield replace(reading, samples=samples, faulty=faulty)

    return replace(recording, machine=replace(recording.machine, name=machine, channels=mine), read=read)
