"""Folds and seeds, each run once: lines are kept under a digest of the code that made them."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forewarn.evaluation.benchmark import Line, load

SEEDS = (7, 8, 9, 10, 11)
_CODE = (
    "edge",
    "forewarn",
    "models",
    "training",
    "benchmarks/rigs.py",
    "benchmarks/science",
)  # what could change a line
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Fold:
    """One training, and the recordings that are asked about."""

    name: str
    train_on: Path
    test_on: Path


@dataclass(frozen=True, slots=True)
class Work:
    """Where lines and folders of links are kept, and who is told how far it is."""

    folder: Path
    say: Callable[[str], None]
    seeds: Sequence[int] = SEEDS

    def lines(self, benchmark: str, fold: Fold, seed: int) -> list[Line]:
        """The lines of one fold and seed: read where they were made by this code, else made."""
        file = self.folder / _digest() / benchmark / fold.name / f"{seed}.jsonl"
        if not file.exists():
            begin = time.monotonic()
            said = load(benchmark).evaluate(fold.train_on, fold.test_on, seed=seed, say=lambda _: None)
            text = "".join(json.dumps(line) + "\n" for line in said)
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(text)
            part.rename(file)  # whole or not at all: what is there is never half
            self.say(f"  {benchmark} {fold.name}, seed {seed}: {time.monotonic() - begin:.0f} s")
        return [json.loads(line) for line in file.read_text().splitlines()]

    def kept(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Figures that are made elsewhere: read where they were made by this code, else made."""
        file = self.folder / _digest() / f"{name}.json"
        if not file.exists():
            text = json.dumps(measure())
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return dict(json.loads(file.read_text()))

    def scored(self, benchmark: str, folds: Sequence[Fold], seeds: Sequence[int], truth: Path) -> dict[str, Any]:
        """The score of all folds' lines together, by seed."""
        found = {}
        for seed in seeds:
            pooled = [line for fold in folds for line in self.lines(benchmark, fold, seed)]
            file = self.folder / f"{benchmark}-{seed}.jsonl"
            file.write_text("".join(json.dumps(line) + "\n" for line in pooled))
            found[str(seed)] = load(benchmark).score(truth, file)
        return found

    def links(self, name: str, files: Mapping[str, Path]) -> Path:
        """A folder that holds these files under these names, and nothing else."""
        made = self.folder / "folders" / name
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for called, file in files.items():
            (made / called).symlink_to(file.resolve())
        return made

    def leaving_out(self, name: str, files: Sequence[Path], group: Callable[[Path], str], always: str) -> list[Fold]:
        """One fold for each group of files; files that match `always` go with both sides."""
        both = [f for f in files if f.match(always)]
        groups = sorted({group(f) for f in files if f not in both})
        folds = []
        for left in groups:
            train = [f for f in files if f in both or group(f) != left]
            test = [f for f in files if f in both or group(f) == left]
            sides = [self.links(f"{name}/{left}/{n}", {f.name: f for f in s}) for n, s in (("a", train), ("b", test))]
            folds.append(Fold(left, *sides))
        return folds


@functools.cache
def _digest() -> str:
    """Of the code as it was when the run began, which is what runs."""
    code = hashlib.sha256()
    for part in _CODE:
        for file in sorted((_ROOT / part).rglob("*.py")) or [_ROOT / part]:
            code.update(str(file.relative_to(_ROOT)).encode() + file.read_bytes())
    return code.hexdigest()[:12]
