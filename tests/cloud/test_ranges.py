"""A cursor's ranges behave as the set of integers that they stand for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ranges import Ranges, runs

SPAN = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda t: (t[0], t[0] + t[1]))


def numbers(ranges: Ranges) -> set[int]:
    return {n for first, last in ranges for n in range(first, last + 1)}


@given(st.lists(SPAN))
def test_ranges_hold_what_was_added_sorted_and_never_touching(spans):
    ranges = Ranges(spans)
    assert numbers(ranges) == {n for a, b in spans for n in range(a, b + 1)}
    parts = list(ranges)
    assert all(b + 1 < c for (_, b), (c, _) in itertools.pairwise(parts))
    assert len(ranges) == len(numbers(ranges))
    assert ranges.head == max(numbers(ranges), default=0)


@given(st.lists(SPAN), SPAN)
def test_overlap_missing_contains_and_remove_agree_with_a_set(spans, probe):
    ranges, span = Ranges(spans), set(range(probe[0], probe[1] + 1))
    held = numbers(ranges)
    assert numbers(Ranges(ranges.overlap(*probe))) == held & span
    assert numbers(ranges.missing(*probe)) == span - held
    assert ranges.contains(*probe) == (span <= held)
    ranges.remove(*probe)
    assert numbers(ranges) == held - span


@given(st.lists(SPAN))
def test_ranges_survive_their_stored_form(spans):
    ranges = Ranges(spans)
    assert Ranges.decode(ranges.encode()) == ranges


def test_bytes_that_are_no_ranges_are_refused():
    with pytest.raises(ValueError, match="pairs"):
        Ranges.decode(b"123")


@pytest.mark.parametrize(("first", "last"), [(5, 4), (-1, 3), (1, 2**63)])
def test_an_impossible_range_is_refused(first, last):
    with pytest.raises(ValueError, match="no range"):
        Ranges().add(first, last)


@given(st.sets(st.integers(0, 200)))
def test_runs_of_ascending_numbers_are_ranges(held):
    assert numbers(Ranges(runs(np.array(sorted(held), np.int64)))) == held
