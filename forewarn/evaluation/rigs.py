"""Bearing rigs (CWRU, HIT-SM, MFPT): one record is a machine; the same steps and settings for all of them.

Labelled records go through the device's own features and view into training, the bundle through the device's own parts.
Scales, counts and units leak the fault, so nothing that depends on a gain is learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edge.detection.bearing_part import decide
from edge.detection.fault import Told, weigh
from edge.inference import LoadedBundle
from edge.sensors.recording import Recording
from forewarn.evaluation.benchmark import Line, Say
from forewarn.evaluation.files import recordings
from forewarn.evaluation.rig_speed import WINDOWS, with_speed
from forewarn.evaluation.rig_truth import SHORT, bearing, truths
from forewarn.training.examples import examples_of
from forewarn.training.pack import pack_bundle
from forewarn.whatif import listen
from models.errors import RecordingRejected
from training.faults.card import write_fault_card
from training.faults.fit import Example, FaultConfig
from training.faults.train import train

CLASS = "bearing"


def evaluate(train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[Line]:
    """Train on labelled records of some bearings; one line for each window and record of the others."""
    unheard = recordings(test_on, say)
    examples = labelled(train_on, FaultConfig(), seed=seed, say=say)
    say(f"training on {len(examples)} examples of {len({e.machine for e in examples})} records")
    speeds = [r.machine.speed_rpm for r in recordings(train_on, lambda _: None) if r.machine.speed_rpm]
    bundle = LoadedBundle.read(bundle_of(examples, FaultConfig(), seed=seed))
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
            random = np.random.default_rng([seed, number])
            examples += examples_of(recording, bearing(record), told[record], config, random)
        except RecordingRejected as e:
            say(f"not used: {e}")
    return examples
