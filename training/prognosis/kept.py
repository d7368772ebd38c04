"""Fits outlive the run that made them: one that is started again goes on from those that had ended.

A fit follows from the dataset, the settings, the seed and the versions, and so does the folder that it is kept in. A
file is whole or not there; one that cannot be read is fitted again.
"""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from training.model import Say, versions
from training.prognosis.fit import Weights
from training.prognosis.folds import Left
from training.prognosis.pipeline import Job, Runner

_LONGEST_S = 30 * 86_400.0  # what nobody went on with for so long goes


def keeping(run: Runner, folder: Path) -> Runner:
    """Return `run` with its fits kept below `folder` until all of them have ended."""

    def resumed(job: Job, say: Say) -> Iterator[tuple[Left, Weights]]:
        _remove_old(folder)
        own = folder / _digest(job)
        own.mkdir(parents=True, exist_ok=True)
        done = {left: weights for left in job.fits if (weights := _load(_file(own, left))) is not None}
        if done:
            say(f"an earlier run was cut short: going on from {len(done)} of {len(job.fits)} fits")
        yield from done.items()
        missing = [left for left in job.fits if left not in done]
        for left, weights in run(job.only(missing), say) if missing else ():
            _save(_file(own, left), weights)
            yield left, weights
        shutil.rmtree(own, ignore_errors=True)

    return resumed


def _digest(job: Job) -> str:
    whole = (job.dataset.digest, job.groups, msgspec.to_builtins(job.config), job.seed, versions())
    return hashlib.sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()[:16]


def _file(folder: Path, left: Left) -> Path:
    return folder / f"without-{'-'.join(str(i) for i in sorted(left)) or 'none'}.npz"


def _save(file: Path, weights: Weights) -> None:
    partial = file.with_suffix(".part")
    with partial.open("wb") as out:
        np.savez(out, **weights)  # type: ignore[arg-type]  # its stub takes the keywords for options
    partial.replace(file)


def _load(file: Path) -> Weights | None:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _remove_old(folder: Path) -> None:
    oldest = time.time() - _LONGEST_S
    for other in folder.iterdir() if folder.is_dir() else ():
        if other.stat().st_mtime < oldest:
            shutil.rmtree(other, ignore_errors=True)
