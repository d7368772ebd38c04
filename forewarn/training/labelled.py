"""Recordings whose damage somebody has found, with a file of labels: what a model of faults learns from."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.sensors.recording import Recording
from edge.sensors.replay import find_recordings
from forewarn.training.examples import examples_of
from models.errors import RecordingRejected, WrongUse
from models.networks.faults import FAULTS
from training.faults.fit import Example, FaultConfig
from training.model import Say

_COLUMNS = ("recording", "bearing", "fault")


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in the end: which bearing it was, and its damage."""

    bearing: str  # the physical one: its recordings are never on both sides of a split
    fault: str  # one of FAULTS


def read_faults(file: Path) -> dict[str, Found]:
    """Read a CSV file with the columns recording, bearing, fault; `WrongUse` names the first wrong line."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise WrongUse(f"the labels cannot be read: {e}", where=str(file)) from e
    reader = csv.DictReader(lines, restval="")
    if missing := [c for c in _COLUMNS if c not in (reader.fieldnames or ())]:
        raise WrongUse(
            f"the columns {', '.join(missing)} are missing", where=str(file), mend=f"begin with {','.join(_COLUMNS)}"
        )
    found: dict[str, Found] = {}
    for row in reader:
        recording, bearing, fault = ((row[c] or "").strip() for c in _COLUMNS)
        where = f"{file}:{reader.line_num}"
        if not recording or not bearing:
            raise WrongUse("the recording or the bearing is empty", where=where)
        if fault not in FAULTS:
            raise WrongUse(f"the fault is {fault!r}, it must be one of {', '.join(FAULTS)}", where=where)
        if found.setdefault(recording, Found(bearing, fault)) != Found(bearing, fault):
            raise WrongUse(f"{recording!r} was found to be something else above", where=where)
    return found


def labelled(folder: Path, labels: Path, config: FaultConfig, *, seed: int, say: Say) -> list[Example]:
    """The examples of a folder's recordings that have a label, as a device would have seen them.

    Labels name recordings as files' stems, or as their files call them. Raises `WrongUse` for a label without a
    recording; a recording that is unusable or has no label is said.
    """
    found, examples, heard = read_faults(labels), list[Example](), set[str]()
    for number, (recording, name) in enumerate(_recordings(folder, say)):
        if name not in found:
            say(f"not learned from: {name}: no label")
            continue
        heard.add(name)
        try:
            random = np.random.default_rng([seed, number])
            examples += examples_of(recording, found[name].bearing, found[name].fault, config, random)
        except RecordingRejected as e:
            say(f"not used: {e}")
    if missing := sorted(set(found) - heard):
        raise WrongUse(f"no usable recording is called {', '.join(missing[:5])}", where=str(labels))
    return examples


def _recordings(folder: Path, say: Say) -> Iterator[tuple[Recording, str]]:
    """Usable recordings, each with the name that it goes by."""
    for one in find_recordings([folder]):
        if isinstance(one, RecordingRejected):
            say(f"not used: {one}")
        else:
            yield one, next(iter(one.called.values()), one.name)
