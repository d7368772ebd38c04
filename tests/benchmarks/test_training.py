"""The benchmark of training asks both ways for the same thing."""

from __future__ import annotations

import numpy as np

from benchmarks.training import _alike, lives
from training.sweep.search import Trial


def test_the_made_up_lives_are_the_same_each_time_and_wear_shows_in_them():
    one, other = lives(3, 50), lives(3, 50)
    assert one.machines == ("M0", "M1", "M2")
    for a, b in zip(one.lives, other.lives, strict=True):
        assert np.array_equal(a.condition, b.condition)
        assert a.condition[-5:, :-1].mean() > a.condition[:25, :-1].mean() + 1.0


def test_candidates_are_alike_where_both_ways_came():
    assert _alike([Trial(0, (1.0, 2.0))], [Trial(0, (1.0,))])
    assert not _alike([Trial(0, (1.0, 2.0))], [Trial(0, (1.1,))])
