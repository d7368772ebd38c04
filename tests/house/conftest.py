"""Looks at the project as a whole: its files, its dependencies, its pins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(name: str, extras: frozenset[str]) -> dict[str, Distribution]:
    """What an install of `name[extras]` brings on this platform, by canonical name, from the installed metadata."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(canonicalize_name(name), extras)]
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        found[item[0]] = distribution(item[0])
        todo += list(_needs(found[item[0]], item[1]))
    del found[canonicalize_name(name)]
    return found


def _needs(package: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for line in package.requires or []:
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras | {""}):
            yield canonicalize_name(need.name), frozenset(need.extras)


@pytest.fixture(scope="session")
def dependencies() -> Callable[..., dict[str, Distribution]]:
    """`dependencies("edge")`: what `forewarn[edge]` brings; skips where that extra is not installed."""

    def of(*extras: str) -> dict[str, Distribution]:
        try:
            return closure("forewarn", frozenset(extras))
        except PackageNotFoundError as e:
            pytest.skip(f"forewarn[{','.join(extras)}] is not installed here: no package {e.name}")

    return of


@pytest.fixture(scope="session")
def project_files(repository: Path) -> list[Path]:
    """Every file that is, or would be, committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=30)
    if listed.returncode != 0:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    return [p for line in listed.stdout.split("\0") if line and (p := repository / line).is_file()]
