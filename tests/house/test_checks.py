"""Every step of `make check` can fail: each is run on a copy of the project in which one thing is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BREAKS = {
    # step: (file, what to find; empty: append, what to put there, what the step must say)
    "format": ("models/errors.py", "", "x = {  }\n", "models/errors.py"),
    "lint": ("models/errors.py", "", "import os\n", "F401"),
    "imports-edge": ("edge/types.py", "", "import torch\n", "An edge device carries no trainer"),
    "imports-order": ("edge/types.py", "", "import edge.features\n", "The edge reads left to right"),
    "imports-wire": ("cloud/config.py", "", "import protos\n", "Wire types stay in the files that speak gRPC"),
    "imports-ray": ("training/__init__.py", "", "import ray\n", "Ray is imported in the files"),
    "wire-lint": ("protos/forewarn/alert/v1/alert.proto", "rpc Raise(", "rpc raise(", "PascalCase"),
    "wire-breaking": ("protos/forewarn/alert/v1/alert.proto", "uint64 epoch = 4;", "uint64 epoch = 40;", "epoch"),
    "wire-drift": ("protos/forewarn/alert/v1/alert_pb2.pyi", "", "x: int\n", "alert_pb2.pyi"),
    "images-Dockerfile": ("Dockerfile", "FROM base AS edge\n", "FROM base:latest AS edge\n", "DL3007"),
    "images-compose": ("compose.yaml", "services:", "servants:", "servants"),
}


@pytest.fixture(scope="module")
def copy(project_files, repository, tmp_path_factory) -> Path:
    """The project's files, beside the interpreter that this test runs in."""
    folder = tmp_path_factory.mktemp("checks")
    for file in project_files:
        target = folder / file.relative_to(repository)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    (folder / ".venv").symlink_to(Path(sys.prefix), target_is_directory=True)
    return folder


def run(copy: Path, step: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--old-file=install", step],
        cwd=copy,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=90,
    )


@pytest.mark.parametrize("name", BREAKS)
def test_a_step_of_make_check_fails_when_it_should_and_says_where(copy, name):
    file, old, new, said = BREAKS[name]
    path = copy / file
    whole = path.read_text()
    assert old in whole
    try:
        path.write_text(whole.replace(old, new, 1) if old else whole + new)
        done = run(copy, name.partition("-")[0])
    finally:
        path.write_text(whole)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("step", ["imports", "wire", "images"])
def test_a_step_of_make_check_passes_on_what_is_there(copy, step):
    done = run(copy, step)
    assert done.returncode == 0, done.stdout + done.stderr
