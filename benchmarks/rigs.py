"""Which part is damaged, on bearings that took no part: three rigs, one configuration, five seeds, floors beside it.

CWRU leaves a fault size out, HIT-SM a severity or a speed, MFPT a load. CWRU has one healthy record: its first half is
learned from and its second half judged, so its healthy figure is of the same machine, as is MFPT's everything: the rig
has one bearing of each kind. Every bearing's own figure is in the bundle's card. What a device adds to a network's word
(`edge.detection.fault`) is the device's own code; `forewarn evaluate cwru|hit_sm|mfpt` runs all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diagnosis import folder
from edge.detection.bearing_part import decide
from edge.detection.fault import weigh
from edge.features import Extractor
from edge.features.envelope_diagnosis import HARMONICS, FoundLine
from edge.sensors.recording import Recording
from edge.sensors.replay import find_recordings
from edge.types import Window
from forewarn.evaluation.rig_score import ABSTAIN, figures, largest_line, verdict
from forewarn.evaluation.rig_truth import SHORT, bearing, truths
from forewarn.training.examples import examples_of
from models.features import WAVEFORM
from models.networks.faults import FAULTS, LINES
from training.faults.fit import Example, FaultConfig, answer, fit

SEEDS = (7, 8, 9, 10, 11)
CONFIG = FaultConfig()
_PLAIN = [s.id for s in WAVEFORM]


@dataclass(frozen=True, slots=True)
class Heard:
    """One record: what training may have of it, and what a device would see of it, window by window."""

    record: str
    fault: str
    rpm: float
    examples: Sequence[Example]
    seen: np.ndarray  # (n, D) conditions of all channels, the last n windows of it
    windows: int
    plain: np.ndarray  # (w, 13) logarithms of the plain features of its first channel
    largest: str


def measure() -> dict[str, Any]:
    """All figures of this part, by name; `skipped` with the reason where there are no recordings."""
    rigs = [r for r in ("cwru", "hit_sm", "mfpt") if (folder() / r).is_dir()]
    if not rigs:
        return {"skipped": f"no recordings in {folder()}; FOREWARN_DATA_DIR names another folder"}
    heard = {rig: [_heard(r, t) for r, t in _records(folder() / rig)] for rig in rigs}
    return {"seeds": SEEDS, "protocols": {n: _protocol(heard[n.split(",")[0]], f) for n, f in _FOLDS.items()}}


def _records(rig: Path) -> list[tuple[Recording, str]]:
    told = truths(rig)
    found = [r for r in find_recordings([rig]) if isinstance(r, Recording)]
    return [(r, told[next(iter(r.called.values()))]) for r in found]


def _heard(recording: Recording, fault: str) -> Heard:
    record, machine = next(iter(recording.called.values())), recording.machine
    examples = examples_of(recording, bearing(record), fault, CONFIG, np.random.default_rng(len(record)))
    extractor, plain = Extractor(machine), []
    for reading in recording.read():
        row = extractor.extract(Window(machine=machine.name, time_ns=reading.offset_ns, samples=reading.samples))[0]
        values = dict(zip(row.schema.columns, row.values.tolist(), strict=True))
        plain.append([float(np.arcsinh(values[f])) for f in _PLAIN])
    seen = examples[0].condition
    return Heard(
        record, fault, machine.speed_rpm or 0.0, examples, seen, len(plain), np.array(plain), largest_line(recording)
    )


Fold = tuple[list[Heard], list[Heard]]


def _sizes(heard: Sequence[Heard]) -> list[Fold]:
    healthy = [h for h in heard if h.fault == "normal"]
    first, second = [_half(h, last=False) for h in healthy], [_half(h, last=True) for h in healthy]
    folds = []
    for size in sorted({_field(h) for h in heard if h.fault != "normal"}):
        faulty = [h for h in heard if h.fault != "normal"]
        rest = [h for h in faulty if _field(h) != size]
        folds.append((rest + first, [h for h in faulty if _field(h) == size] + second))
    return folds


def _field(h: Heard) -> str:
    return h.record.split("_")[1]


def _half(h: Heard, *, last: bool) -> Heard:
    n, w = len(h.seen) // 2, h.windows // 2
    if last:
        return replace(h, seen=h.seen[n:], windows=h.windows - w, plain=h.plain[w:])
    measured = [replace(e, condition=e.condition[: len(e.condition) // 2]) for e in h.examples if e.timing == 1.0]
    return replace(h, examples=measured, plain=h.plain[:w])


def _by(key: Callable[[Heard], Any]) -> Callable[[Sequence[Heard]], list[Fold]]:
    def folds(heard: Sequence[Heard]) -> list[Fold]:
        groups = sorted({key(h) for h in heard})
        return [([h for h in heard if key(h) != g], [h for h in heard if key(h) == g]) for g in groups]

    return folds


def _severity(h: Heard) -> str:
    """2, 5 or 8 degrees; a healthy record is left out with one of them."""
    stem = h.record.rsplit("/", 1)[-1]
    return {"600": "2", "900": "5", "1200": "8"}[f"{h.rpm:.0f}"] if h.fault == "normal" else stem[2]


_FOLDS: dict[str, Callable[[Sequence[Heard]], list[Fold]]] = {
    "cwru, a fault size left out": _sizes,
    "hit_sm, a severity left out": _by(_severity),
    "hit_sm, a speed left out": _by(lambda h: h.rpm),
    "mfpt, a load left out": _by(lambda h: h.record.rsplit("_", 1)[-1]),
}


def _protocol(heard: Sequence[Heard], split: Callable[[Sequence[Heard]], list[Fold]]) -> dict[str, Any]:
    folds = split(heard)
    truth = {f"{i} {h.record}": SHORT[h.fault] for i, (_, test) in enumerate(folds) for h in test}
    runs, strict = [], []
    for seed in SEEDS:
        words = {}
        for i, (train, test) in enumerate(folds):
            network = fit([e for h in train for e in h.examples], CONFIG, seed)
            words |= {f"{i} {h.record}": _words(h, answer(network, h.seen)) for h in test}
        runs.append(figures(truth, {r: verdict(w) for r, w in words.items()}))
        strict.append(figures(truth, {r: verdict(w, abstentions_vote=True) for r, w in words.items()}))
    floors = {
        "physics alone": {f"{i} {h.record}": verdict(_words(h, None)) for i, (_, t) in enumerate(folds) for h in t},
        "nearest neighbour, plain features": _neighbours(folds),
        "largest envelope line": {f"{i} {h.record}": h.largest for i, (_, t) in enumerate(folds) for h in t},
        "always outer": dict.fromkeys(truth, "outer"),
    }
    return {
        "ours": runs,
        "ours if abstentions vote": strict,
        "floors": {name: figures(truth, said) for name, said in floors.items()},
        "leaking": _leaking(heard),
    }


def _words(h: Heard, fault: np.ndarray | None) -> list[str]:
    """What a device says in each window: nothing in the first ones, which are too short for lines."""
    words = [ABSTAIN] * (h.windows - len(h.seen))
    for k, condition in enumerate(h.seen):
        lines = [
            FoundLine(n, 0.0, 0.0, float(condition[i]), float(condition[LINES // 2 + i]))
            for i, n in enumerate(HARMONICS)
        ]
        told = weigh(decide({"": lines}), {} if fault is None else dict(zip(FAULTS, map(float, fault[k]), strict=True)))
        words.append(SHORT[told.fault] if told.fault else ABSTAIN)
    return words


def _neighbours(folds: Sequence[Fold]) -> dict[str, str]:
    """The floor that learns by heart: each window is what the nearest window of the training is."""
    said = {}
    for i, (train, test) in enumerate(folds):
        known = np.concatenate([h.plain for h in train])
        names = [SHORT[h.fault] for h in train for _ in h.plain]
        scale = known.std(axis=0) + 1e-9
        for h in test:
            said[f"{i} {h.record}"] = verdict([names[n] for n in _nearest(h.plain / scale, known / scale)])
    return said


def _leaking(heard: Sequence[Heard]) -> float:
    """What the same floor scores by window where windows of one record are on both sides: never to be quoted alone."""
    x = np.concatenate([h.plain for h in heard])
    names = np.array([h.fault for h in heard for _ in h.plain])
    train = np.random.default_rng(1).random(len(x)) < 0.5
    scale = x.std(axis=0) + 1e-9
    return float((names[train][_nearest(x[~train] / scale, x[train] / scale)] == names[~train]).mean())


def _nearest(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.array([np.square(known - row).sum(axis=1).argmin() for row in x])


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The table of this part."""
    if "skipped" in found:
        return [("skipped", found["skipped"])]
    table = []
    for name, p in found["protocols"].items():
        for who in ("ours", "ours if abstentions vote"):
            f1 = [r["macro_f1"] for r in p[who]]
            accused = max(r["healthy_accused"] for r in p[who])
            shown = f"macro-F1 {np.mean(f1):.3f} ({min(f1):.3f} to {max(f1):.3f}), healthy accused {accused}"
            table.append((f"{name}: {who}", f"{shown} of {p[who][0]['healthy']}"))
        for floor, f in p["floors"].items():
            table.append((f"  {floor}", f"macro-F1 {f['macro_f1']:.3f}, healthy accused {f['healthy_accused']}"))
        table.append(("  the nearest neighbour's share of windows with a leaking split", f"{p['leaking']:.3f}"))
    return table
