"""Folds and seeds, each run once, several at a time: lines are kept under digests of code and files that made them.

A fit has one thread whoever runs it, so what is said depends on the fold and the seed alone, not on how many run.
"""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
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
    "benchmarks/science/runs.py",
)  # what could change a line
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Fold:
    """One training, and the recordings that are asked about."""

    name: str
    train_on: Path
    test_on: Path

    def digest(self) -> str:
        """Of both folders' files and their names."""
        sides = [sorted(f for f in side.iterdir() if f.is_file()) for side in (self.train_on, self.test_on)]
        told = [[f"{f.name} {_digest_of(f.resolve())}" for f in side] for side in sides]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def evaluated(benchmark: str, fold: Fold, seed: int) -> Iterable[Line]:
    """What `forewarn evaluate` writes."""
    return load(benchmark).evaluate(fold.train_on, fold.test_on, seed=seed, say=lambda _: None)


@dataclass(frozen=True, slots=True)
class Work:
    """Where lines and folders of links are kept, and who is told how far it is."""

    folder: Path
    say: Callable[[str], None]
    seeds: Sequence[int] = SEEDS
    at_once: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))  # folds and seeds
    evaluate: Callable[[str, Fold, int], Iterable[Line]] = evaluated  # runs in processes of its own

    def lines(self, benchmark: str, fold: Fold, seed: int) -> list[Line]:
        """The lines of one fold and seed: read where this code made them of these files, else made."""
        file = self._file(benchmark, fold, seed)
        if not file.exists():
            self._say(fold, _made(self.evaluate, benchmark, fold, seed, file, digest()))
        return [json.loads(line) for line in file.read_text().splitlines()]

    def make(self, benchmark: str, jobs: Iterable[tuple[Fold, int]]) -> None:
        """Make what is missing of these folds and seeds, several at a time; the first that fails ends it."""
        missing = [job for job in jobs if not self._file(benchmark, *job).exists()]
        if min(len(missing), self.at_once) < 2:
            return  # `lines` makes it
        spawned = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        with ProcessPoolExecutor(min(len(missing), self.at_once), spawned, _end_with_the_parent) as pool:
            made = {
                pool.submit(_made, self.evaluate, benchmark, *job, self._file(benchmark, *job), digest()): job
                for job in missing
            }
            try:
                for done in as_completed(made):
                    self._say(made[done][0], done.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)  # what runs is waited for, and kept
                raise

    def _file(self, benchmark: str, fold: Fold, seed: int) -> Path:
        return self.folder / digest() / benchmark / fold.name / f"{fold.digest()}-{seed}.jsonl"

    def _say(self, fold: Fold, what: str) -> None:
        self.say(f"  {fold.name}, {what}")

    def kept(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Figures that are made elsewhere: read where they were made by this code, else made."""
        file = self.folder / digest() / f"{name}.json"
        if not file.exists():
            text = json.dumps(measure())
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return dict(json.loads(file.read_text()))

    def scored(self, benchmark: str, folds: Sequence[Fold], seeds: Sequence[int], truth: Path) -> dict[str, Any]:
        """The score of all folds' lines together, by seed."""
        self.make(benchmark, [(fold, seed) for seed in seeds for fold in folds])
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


def _end_with_the_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _made(
    evaluate: Callable[[str, Fold, int], Iterable[Line]], benchmark: str, fold: Fold, seed: int, file: Path, code: str
) -> str:
    """Train, listen, keep the lines; return how long it took. Raises RuntimeError when this code is not `code`."""
    begin = time.monotonic()
    text = "".join(json.dumps(line) + "\n" for line in evaluate(benchmark, fold, seed))
    if digest() != code:
        raise RuntimeError("the code was changed while it was measured: start again")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(text)
    part.rename(file)  # whole or not at all: what is there is never half
    return f"seed {seed}: {time.monotonic() - begin:.0f} s"


@functools.cache
def _digest_of(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


@functools.cache
def digest() -> str:
    """Of the code as it was when the run began, which is what runs."""
    code = hashlib.sha256()
    for part in _CODE:
        for file in sorted((_ROOT / part).rglob("*.py")) or [_ROOT / part]:
            code.update(str(file.relative_to(_ROOT)).encode() + file.read_bytes())
    return code.hexdigest()[:12]
