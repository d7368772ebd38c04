"""From rows of the lake and the crews' findings to what an anomaly model learns from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.departures import LEVEL
from training.anomaly.config import AnomalyConfig
from training.anomaly.seen import Run, Windows
from training.dataset import by_machine
from training.labels import FAULTY, SENSOR, Labels, Span

_HOUR_NS = 3.6e12


def runs_of(rows: pa.Table, labels: Labels, config: AnomalyConfig) -> tuple[list[Run], tuple[str, ...]]:
    """Return a run of each machine, and one sentence for each thing that was not used.

    `rows` as for `training.dataset.build`, with the column `level@1`. A repair begins a new healthy start, so each life
    would be a run of its own: a machine counts once, by its longest. Windows in which the crew confirmed an alarm, and
    the last `fault_hours` before a failure, are faults that an alarm should find; all others should stay without one.
    """
    runs, left_out = [], []
    wanted = set(config.view.channels)
    for site, name, mine in by_machine(rows):
        key, found = f"{site}/{name}" if site else name, labels.of(site, name)
        times, values = mine["event_time_ns"].to_numpy(), mine[LEVEL].to_numpy(zero_copy_only=False)
        channels = mine["channel"].to_pylist()
        usable = np.isfinite(values) & ~found.found(times, (SENSOR,)) & np.array([c in wanted for c in channels])
        lives = found.lives(times[usable])
        if not lives:
            left_out.append(f"{key}: no window with a usable value")
            continue
        life = max(lives, key=lambda span: span.end_ns - span.begin_ns)
        if len(lives) > 1:
            left_out.append(f"{key}: {len(lives) - 1} shorter lives: each machine counts once")
        inside = np.flatnonzero(usable & (times >= life.begin_ns) & (times <= life.end_ns))
        at, windows = _windows(times, values, channels, inside)
        faulty = found.found(at, (FAULTY,)) | _before_failure(at, life, config)
        runs.append(Run(key, windows, ~faulty, faulty if faulty.any() else None))
    return runs, tuple(left_out)


def _before_failure(times_ns: NDArray[np.int64], life: Span, config: AnomalyConfig) -> NDArray[np.bool_]:
    """(n,) whether a window is one of the last before a failure; half of the life at most."""
    if not life.failed:
        return np.zeros(times_ns.shape, np.bool_)
    hours = min(config.fault_hours * _HOUR_NS, 0.5 * (life.end_ns - life.begin_ns))
    return times_ns > life.end_ns - hours


def _windows(
    times: NDArray[np.int64], values: NDArray[np.floating], channels: list[str], inside: NDArray[np.intp]
) -> tuple[NDArray[np.int64], Windows]:
    """The times of the windows, and each of them with its levels by channel; rows are sorted by time."""
    first = np.flatnonzero(np.diff(times[inside], prepend=-1))
    parts = [inside[a:b] for a, b in pairwise([*first.tolist(), len(inside)])]
    return times[inside[first]], [
        (float(times[part[0]]) * 1e-9, {channels[i]: values[i : i + 1].astype(np.float32) for i in part})
        for part in parts
    ]
