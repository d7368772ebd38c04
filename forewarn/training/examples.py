"""A labelled recording as a model of faults learns from it: through the device's own features and view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edge.features import Extractor
from edge.sensors.recording import Recording
from edge.types import FloatArray, Window
from models.views import open_view
from training.faults.faint import faint
from training.faults.fit import Example, FaultConfig

_PIECES = 3  # windows that a faint copy of a recording is cut into: enough to see its lines come


def examples_of(
    recording: Recording, bearing: str, fault: str, config: FaultConfig, rng: np.random.Generator
) -> list[Example]:
    """A recording as measured, fainter, and without any timing; with all channels and with each alone.

    `bearing` names the physical bearing, `fault` is one of `models.networks.faults.FAULTS`.
    """
    windows = [r.samples for r in recording.read()]
    names = tuple(windows[0]) if windows else ()
    whole = {n: np.concatenate([w[n] for w in windows if n in w]) for n in names}
    pieces = max((x.size for x in whole.values()), default=0) // _PIECES + 1
    found = []
    for timing in (1.0, *config.timings, 0.0):
        kept = whole if timing == 1.0 else {n: faint(x, timing, rng) for n, x in whole.items()}
        step = max(w.size for w in windows[0].values()) if timing == 1.0 else pieces
        found += [
            Example(machine=recording.name, bearing=bearing, fault=fault, timing=timing, condition=condition)
            for condition in _seen(recording, kept, step, config)
        ]
    return found


def _seen(
    recording: Recording, samples: Mapping[str, FloatArray], step: int, config: FaultConfig
) -> Iterator[FloatArray]:
    """(n, D) conditions of the windows so far, with all channels and with each alone; none where none was seen."""
    groups = [set(samples), *({n} for n in samples if len(samples) > 1)]
    extractor, views = Extractor(recording.machine), [open_view(config.view, config.features) for _ in groups]
    seen: list[list[FloatArray]] = [[] for _ in groups]
    for number, window in enumerate(_windows(recording, samples, step)):
        rows = {r.channel: r for r in extractor.extract(window, config.features)}
        whole = {n: r for n, r in rows.items() if set(config.features) <= set(r.schema.columns)}
        values = {n: r.values[[r.schema.columns.index(f) for f in config.features]] for n, r in whole.items()}
        for group, view, kept in zip(groups, views, seen, strict=True):
            condition = view.update(float(number), {n: v for n, v in values.items() if n in group})
            if condition is not None:
                kept.append(condition)
    return (np.stack(kept) for kept in seen if kept)


def _windows(recording: Recording, samples: Mapping[str, FloatArray], step: int) -> Iterator[Window]:
    rate_hz = recording.machine.channels[0].rate_hz
    longest = max(x.size for x in samples.values())
    for first in range(0, longest - step // 2, step):
        part = {n: x[first : first + step] for n, x in samples.items() if x.size > first + step // 2}
        yield Window(machine=recording.name, time_ns=round(first * 1e9 / rate_hz), samples=part)
