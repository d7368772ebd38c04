"""Bearing rigs (CWRU, HIT-SM, MFPT): one record is a machine; the same steps and settings for all of them.

Labelled records go through the device's own features and view into training, the bundle through the device's own parts.
Scales, counts and units leak the fault, so nothing that depends on a gain is learned.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from edge.detection.bearing_part import decide
from edge.detection.fault import Told, weigh
from edge.features import Extractor
from edge.inference import LoadedBundle
from edge.sensors.recording import Recording
from edge.types import FloatArray, Window
from forewarn.evaluation.benchmark import Line, Say
from forewarn.evaluation.files import recordings
from forewarn.evaluation.rig_speed import WINDOWS, with_speed
from forewarn.evaluation.rig_truth import SHORT, bearing, truths
from forewarn.training.pack import pack_bundle
from forewarn.whatif import listen
from models.errors import RecordingRejected
from models.views import open_view
from training.faults.card import write_fault_card
from training.faults.faint import faint
from training.faults.fit import Example, FaultConfig
from training.faults.train import train

CLASS = "bearing"
_PIECES = 3  # windows that a faint copy of a recording is cut into: enough to see its lines come


def evaluate(train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[Line]:
    """Train on labelled records of some bearings; one line for each window and record of the others."""
    unheard = recordings(test_on, say)
    examples = labelled(train_on, FaultConfig(), seed=seed, say=say)
    say(f"training on {len(examples)} examples of {len({e.machine for e in examples})} records")
    speeds = [r.machine.speed_rpm for r in recordings(train_on, lambda _: None) if r.machine.speed_rpm]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bundle.fwb"
        file.write_bytes(bundle_of(examples, FaultConfig(), seed=seed))
        bundle = LoadedBundle.open(file)
        for recording in unheard:
            try:
                yield from all_of(recording, bundle, speeds, say)
            except RecordingRejected as e:
                say(f"cut short: {e}")


def all_of(recording: Recording, bundle: LoadedBundle, speeds: Sequence[float], say: Say) -> Iterator[Line]:
    """What is said of a recording; its speed, where it tells none, is sought among `speeds` (rpm)."""
    if recording.machine.speed_rpm:
        yield from lines(recording, bundle)
        return
    found = with_speed(recording, speeds)
    if found is None:
        say(f"{recording.name}: no speed, and none can be found: nothing will be said of it")
        yield from lines(recording, bundle)
        return
    say(f"{recording.name}: no speed; taken as {found.machine.speed_rpm:.0f} rpm from its first {WINDOWS} windows")
    yield from lines(found, bundle, silent=WINDOWS - 1)


def lines(recording: Recording, bundle: LoadedBundle | None, *, silent: int = 0) -> Iterator[Line]:
    """What is said of a recording, window by window, under each name that its file has for it.

    In the first `silent` windows nothing is said: what they would have to know was not known yet.
    """
    for said in listen(recording, bundle):
        told = said.told if said.window > silent else weigh(decide({}), {})
        for record in recording.called.values() or (recording.name,):
            yield {"record": record, "window": said.window, **_line(told)}


def _line(told: Told) -> Line:
    scores = {SHORT[c]: round(p, 6) for c, p in told.scores.items()}
    return {"fault": SHORT[told.fault] if told.fault else "abstain", "scores": scores}


def bundle_of(examples: Sequence[Example], config: FaultConfig, *, seed: int) -> bytes:
    """Train and pack."""
    model = train(examples, config, seed=seed)
    return pack_bundle(CLASS, model, card=lambda name: write_fault_card(name, CLASS, model))[1]


def labelled(folder: Path, config: FaultConfig, *, seed: int, say: Say) -> list[Example]:
    """The examples of a folder's records whose fault is told, as a device would have seen them."""
    told = truths(folder)
    examples: list[Example] = []
    for number, recording in enumerate(recordings(folder, say)):
        record = next(iter(recording.called.values()), recording.name)
        if record not in told:
            say(f"not learned from: {record}: no label")
            continue
        try:
            examples += examples_of(recording, record, told[record], config, np.random.default_rng([seed, number]))
        except RecordingRejected as e:
            say(f"not used: {e}")
    return examples


def examples_of(
    recording: Recording, record: str, fault: str, config: FaultConfig, rng: np.random.Generator
) -> list[Example]:
    """A record as measured, fainter, and without any timing; with all channels and with each alone."""
    windows = [r.samples for r in recording.read()]
    names = tuple(windows[0]) if windows else ()
    whole = {n: np.concatenate([w[n] for w in windows if n in w]) for n in names}
    pieces = max((x.size for x in whole.values()), default=0) // _PIECES + 1
    found = []
    for timing in (1.0, *config.timings, 0.0):
        kept = whole if timing == 1.0 else {n: faint(x, timing, rng) for n, x in whole.items()}
        step = max(w.size for w in windows[0].values()) if timing == 1.0 else pieces
        found += [
            Example(machine=recording.name, bearing=bearing(record), fault=fault, timing=timing, condition=condition)
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
