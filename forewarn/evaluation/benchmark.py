"""The benchmarks by name, and what each of them offers; a benchmark is loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

Say = Callable[[str], None]
Line = dict[str, Any]  # one JSON object of a file of `forewarn evaluate`

NAMES = ("pronostia", "cmapss", "cwru", "hit_sm", "mfpt", "skab", "nab", "ims")


class Benchmark(Protocol):
    """A module of this package."""

    def evaluate(self, train_on: Path, test_on: Path, *, seed: int, say: Say) -> Iterator[Line]:
        """Train on one folder through the product's own path; yield what the agent says about another.

        Each line uses nothing that comes after it. A recording that is unusable is said and left out.
        """

    def score(self, test_on: Path, file: Path) -> dict[str, Any]:
        """Return the figures of a file of lines, ours beside its floors; `test_on` holds the truth."""

    def describe(self, result: Mapping[str, Any]) -> Sequence[str]:
        """Return a result of `score` in lines for people."""


def load(name: str) -> Benchmark:
    """Return a benchmark of `NAMES`."""
    return cast(Benchmark, importlib.import_module(f"forewarn.evaluation.{name}"))
