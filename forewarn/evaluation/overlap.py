"""Recordings that a model learned from and is then judged on: such figures say nothing, so they are named."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from pathlib import Path

_ABOUT = frozenset({".md", ".json"})  # what tells of recordings, not recordings


def shared(train_on: Path, test_on: Path) -> list[str]:
    """Return the names of the files below `test_on` that stand byte for byte below `train_on` too."""
    learned = defaultdict(list)
    for file in _recordings(train_on):
        learned[file.stat().st_size].append(file)
    return [
        str(file.relative_to(test_on))
        for file in _recordings(test_on)
        if any(filecmp.cmp(file, other, shallow=False) for other in learned[file.stat().st_size])
    ]


def _recordings(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file() and f.suffix not in _ABOUT)
