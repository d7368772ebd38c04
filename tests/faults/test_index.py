"""The fault table's index names tests that exist, and says where there is none."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
INDEX = (TESTS / "faults" / "README.md").read_text()
ROWS = {int(row): tests for row, tests in re.findall(r"^\| (\d+) \| [^|]*\| ([^|]*) \|", INDEX, re.MULTILINE)}
NAMES = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
NOT_COVERED: set[int] = set()


def test_each_row_of_delivery_identity_store_and_training_is_there():
    assert set(ROWS) == {*range(1, 22), *range(30, 34)}


def test_each_test_that_the_index_names_exists():
    named = set(re.findall(r"`(test_\w+)`", INDEX))
    assert sorted(named - NAMES) == []


def test_a_row_without_a_test_says_so():
    bare = {row for row, tests in ROWS.items() if "`test_" not in tests}
    assert bare == NOT_COVERED
    assert all("not covered" in ROWS[row] for row in bare)
