"""A training run that was cut short goes on from the fits that had ended, and gives the same model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.errors import Unavailable
from tests.training.fleet import SMALL
from training.dataset import Dataset
from training.prognosis.fit import Weights
from training.prognosis.folds import Left, group_machines, plan
from training.prognosis.kept import keeping
from training.prognosis.pipeline import Job, run_here

QUICK = msgspec.structs.replace(SMALL, steps=1, rows_per_life=20)
Say = Callable[[str], None]


@pytest.fixture
def job(dataset: Dataset) -> Job:
    groups = group_machines(dataset.machines, 8)
    return Job(dataset, groups, plan(groups), QUICK, 3)


class Dies:
    """Runs fits here, and loses its cluster after so many."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.asked: list[Left] = []

    def __call__(self, job: Job, say: Say) -> Iterator[tuple[Left, Weights]]:
        self.asked = list(job.fits)
        for number, fit in enumerate(run_here(job, say)):
            if number == self.after:
                raise Unavailable("the head of the Ray cluster is gone")
            yield fit


def cut_short(job: Job, folder: Path, quiet: Say, after: int = 4) -> None:
    with pytest.raises(Unavailable):
        dict(keeping(Dies(after), folder)(job, quiet))


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_a_run_that_was_cut_short_goes_on_from_the_fits_that_had_ended(job: Job, quiet: Say, tmp_path: Path) -> None:
    cut_short(job, tmp_path, quiet)
    lines: list[str] = []
    again = Dies(99)
    done = dict(keeping(again, tmp_path)(job, lines.append))
    assert again.asked == list(job.fits)[4:]
    assert lines[0] == "an earlier run was cut short: going on from 4 of 11 fits"
    plain = dict(run_here(job, quiet))
    assert all(same(done[left], plain[left]) for left in plain)
    assert not list(tmp_path.iterdir())  # nothing is kept of a run that has ended


def test_what_another_seed_or_setting_left_is_not_taken(job: Job, quiet: Say, tmp_path: Path) -> None:
    cut_short(job, tmp_path, quiet)
    for config, seed in ((QUICK, 4), (msgspec.structs.replace(QUICK, dropout=0.3), 3)):
        other = Dies(99)
        dict(keeping(other, tmp_path)(Job(job.dataset, job.groups, job.fits, config, seed), quiet))
        assert other.asked == list(job.fits)


def test_a_torn_file_is_fitted_again_and_an_old_one_goes(job: Job, quiet: Say, tmp_path: Path) -> None:
    cut_short(job, tmp_path, quiet)
    (own,) = tmp_path.iterdir()
    torn, empty, *_ = sorted(own.iterdir())
    torn.write_bytes(torn.read_bytes()[:-100])
    empty.write_bytes(b"")
    again = Dies(99)
    dict(keeping(again, tmp_path)(job, quiet))
    assert len(again.asked) == 11 - 2
    stale = tmp_path / "0123"
    stale.mkdir()
    os.utime(stale, (0.0, 0.0))
    dict(keeping(run_here, tmp_path)(job, quiet))
    assert not stale.exists()
