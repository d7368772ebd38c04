"""`forewarn --help` is quick, and a command is imported only when it is used."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

from forewarn.cli import COMMANDS

HEAVY = {"torch", "ray", "pandas", "scipy", "matplotlib", "pyarrow", "sqlalchemy", "fastapi", "onnxruntime", "grpc"}
LOADED = """
import json, sys
from forewarn.cli import main
try:
    main(sys.argv[1:])
finally:
    json.dump(sorted({name.partition(".")[0] for name in sys.modules}), sys.stderr)
"""


def ask_for_help(*words):
    """Return the help's text and the top-level packages that were loaded for it."""
    command = [sys.executable, "-c", LOADED, *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, set(json.loads(done.stderr))


def test_help_names_every_command_and_loads_none():
    text, loaded = ask_for_help()
    assert all(f"  {name} " in text for name in COMMANDS)
    assert loaded & (HEAVY | {"numpy", "edge", "cloud", "training"}) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_loads_nothing_heavy(command):
    text, loaded = ask_for_help(command)
    assert text.startswith(f"Usage: forewarn {command}")
    assert loaded & HEAVY == set()


def test_help_takes_less_than_half_a_second_of_a_core():
    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    before = used()
    subprocess.run([sys.executable, "-m", "forewarn", "--help"], check=True, capture_output=True, timeout=60)
    assert used() - before < 0.5


def test_an_unknown_command_is_wrong_use():
    done = subprocess.run([sys.executable, "-m", "forewarn", "nonsense"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_a_missing_extra_is_named():
    blocked = "import sys; sys.modules['sqlalchemy'] = None; from forewarn.cli import main; main(['alert', 'list'])"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "forewarn[cloud]" in done.stderr
    assert "Traceback" not in done.stderr
