"""The delivery protocol as Spin sees it: every interleaving of a small world, and bugs that the search must find."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).resolve().parents[2] / "docs" / "protocol" / "delivery.pml"
BUGS = sorted(set(re.findall(r"#ifn?def (BUG_\w+)", MODEL.read_text())))
NO_FAULTS = {"CUTS": 0, "KILLS": 0, "ANSWERS": 0}
ONE_OF_EACH = {"CUTS": 1, "KILLS": 1, "ANSWERS": 1}


@pytest.fixture(scope="module")
def spin() -> str:
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            if os.environ.get("FOREWARN_TEST_ALL") == "1":
                pytest.fail(f"{program} is not installed")
            pytest.skip(f"{program} is not installed")
    return "spin"


def search(folder: Path, faults: dict[str, int], *bugs: str, optimise: str = "-O2") -> str:
    """Look at every state that these faults lead to, within 110 s and 1 GB; what the search says."""
    defines = [f"-D{name}={value}" for name, value in faults.items()] + [f"-D{bug}" for bug in bugs]

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=True).stdout

    run("spin", *defines, "-a", str(MODEL))
    run("gcc", optimise, "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=1000", "-o", "pan", "pan.c")
    return run("./pan", "-m100000", "-w22")


@pytest.mark.parametrize("faults", [{"CUTS": 1, "CUT_DEVICES": 1}, {"KILLS": 1, "ANSWERS": 1}], ids=str)
def test_whatever_comes_between_nothing_is_lost_doubled_or_left_waiting(spin, tmp_path: Path, faults):
    said = search(tmp_path, {**NO_FAULTS, **faults})
    assert "errors: 0" in said, said
    assert not re.search("max search depth too small|out of memory|not completed", said), said
    states = re.search(r"(\d+) states, stored", said)
    assert states, said
    assert int(states[1]) > 10_000, "so few states are not the whole protocol"


def test_there_are_bugs_to_find():
    assert len(BUGS) >= 4


@pytest.mark.parametrize("bug", BUGS)
def test_without_this_rule_the_search_finds_what_breaks(spin, tmp_path: Path, bug):
    said = search(tmp_path, ONE_OF_EACH, bug, optimise="-O0")
    assert "errors: 1" in said, said
    assert "assertion violated" in said, said
