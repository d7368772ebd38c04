"""Vendored files are what their lists say, with their licences, and no page loads anything from elsewhere."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from cloud.web.site import HERE, STATIC

TESTS = Path(__file__).resolve().parents[2]
LISTS = {"pages": STATIC / "VENDORED.md", "tests": TESTS / "browser" / "VENDORED.md"}


def _listed(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^\| (vendor/\S+) \|.*\| ([0-9a-f]{64}) \|$", file.read_text(), re.MULTILINE))


@pytest.mark.parametrize("which", LISTS)
def test_every_vendored_file_is_listed_with_its_sum_and_nothing_else_lies_there(which):
    folder = LISTS[which].parent
    there = {f"vendor/{f.name}": hashlib.sha256(f.read_bytes()).hexdigest() for f in (folder / "vendor").iterdir()}
    assert there == _listed(LISTS[which])


@pytest.mark.parametrize("which", LISTS)
def test_every_vendored_package_brings_its_licence(which):
    folder = LISTS[which].parent / "vendor"
    for file in folder.iterdir():
        if file.suffix in {".js", ".css"}:
            assert (folder / f"{file.name.split('.')[0]}.LICENSE.txt").is_file(), file.name


def test_nothing_of_ours_names_another_host():
    ours = [*(HERE / "templates").iterdir(), *(f for f in STATIC.iterdir() if f.is_file())]
    for file in ours:
        if file.suffix != ".md":
            found = set(re.findall(r"(?:https?:)?//[a-z0-9][a-z0-9.-]*\.[a-z]{2,}", file.read_text()))
            assert found <= {"http://www.w3.org"}, file.name
