"""A hundred rounds of `make soak`, and proof that its checker sees what it is there to see."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.history import Memory, violations
from tests.soak import soak

USED = frozenset(("edge-1", 7, n) for n in range(1, 5))
MEMORY = {"edge-1": Memory(used=USED, kept=frozenset({("edge-1", 7, 4)}))}


def stored(*numbers: int) -> Counter[tuple[str, int, int]]:
    return Counter(("edge-1", 7, n) for n in numbers)


def test_a_history_in_which_all_that_was_forgotten_is_stored_once_is_right():
    assert violations(MEMORY, stored(1, 2, 3)) == []
    assert violations(MEMORY, stored(1, 2, 3, 4)) == []
    assert violations(MEMORY, stored(1, 2, 3, 4), at_rest=True) == []


def test_a_record_that_was_forgotten_and_is_not_stored_is_lost():
    assert violations(MEMORY, stored(1, 3)) == ["('edge-1', 7, 2) is lost"]


def test_a_record_that_is_stored_twice_is_told():
    assert violations(MEMORY, stored(1, 2, 2, 3)) == ["('edge-1', 7, 2) is stored 2 times"]


def test_at_rest_what_is_kept_and_not_stored_is_lost_and_what_nobody_made_is_told():
    assert violations(MEMORY, stored(1, 2, 3, 9), at_rest=True) == [
        "('edge-1', 7, 4) is lost",
        "('edge-1', 7, 9) was never made",
    ]


@pytest.mark.timeout(600)
def test_a_hundred_rounds_of_kills_and_cut_links_on_real_processes_leave_a_history_that_holds(tmp_path: Path):
    """Rows 1, 12 and 15. `make soak` does it ten times and more."""
    found = soak(tmp_path, rounds=100, agents=2, gateways=2, seed=5)
    assert found["violations"] == []
    assert (found["rounds"], len(found["faults"]), found["records"] > 500) == (100, 7, True)
