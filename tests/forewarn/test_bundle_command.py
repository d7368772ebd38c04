"""The wheelhouse of a device. Downloads are exercised by the command itself, not here: a test has no network."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from forewarn.deploy import wheelhouse
from models.errors import Unavailable, WrongUse


@pytest.fixture
def collected(repository, tmp_path, monkeypatch):
    """A collection in which pip downloads nothing and hatchling really builds."""
    monkeypatch.setattr(wheelhouse, "download_command", lambda *_: ["true"])
    folder = tmp_path / wheelhouse.NAME
    count = wheelhouse.collect("aarch64", repository, repository / "constraints" / "edge.txt", folder)
    assert count == 1
    return folder


def test_the_archive_holds_wheel_pins_script_and_unit_and_our_wheel_carries_them_too(collected, tmp_path):
    wheelhouse.pack(collected, tmp_path / "edge.tar.gz")
    with tarfile.open(tmp_path / "edge.tar.gz") as archive:
        entries = {m.name.removeprefix("forewarn-edge/"): m for m in archive.getmembers()}
    assert {"install.sh", "forewarn-edge.service", "pins.txt", "VERSION"} <= set(entries)
    assert entries["install.sh"].mode & 0o111
    assert {m.uname for m in entries.values()} == {""}
    (wheel,) = (collected / "wheels").glob("*.whl")
    listed = subprocess.run([sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True).stdout
    assert "forewarn/deploy/install.sh" in listed
    assert "forewarn/deploy/forewarn-edge.service" in listed


@pytest.mark.parametrize("arch", ["aarch64", "x86_64"])
def test_pip_is_asked_for_hashed_wheels_of_that_processor_and_nothing_else(arch, tmp_path):
    command = wheelhouse.download_command(arch, tmp_path / "pins.txt", tmp_path)
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps"} <= set(command)
    platforms = [word for word in command if word.startswith("--platform")]
    assert platforms
    assert all(word.endswith(arch) for word in platforms)


def test_what_pip_says_last_is_the_reason(tmp_path, repository, monkeypatch):
    monkeypatch.setattr(
        wheelhouse, "build_command", lambda _: ["sh", "-c", "echo first >&2; echo no index >&2; exit 1"]
    )
    with pytest.raises(Unavailable, match=r"could not be built: no index"):
        wheelhouse.collect("x86_64", repository, repository / "constraints" / "edge.txt", tmp_path / "out")


def test_outside_a_checkout_is_wrong_use(tmp_path):
    with pytest.raises(WrongUse, match="no checkout"):
        wheelhouse.collect("x86_64", tmp_path, tmp_path / "edge.txt", tmp_path / "out")


def test_the_script_is_sound_and_the_unit_starts_what_it_installs(repository):
    deploy = repository / "forewarn" / "deploy"
    assert subprocess.run(["sh", "-n", deploy / "install.sh"]).returncode == 0
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(deploy / "forewarn-edge.service")
    service = unit["Service"]
    target = re.search(r"FOREWARN_PREFIX:-(\S+)}", (deploy / "install.sh").read_text())
    assert service["ExecStart"].startswith(f"{target[1]}/bin/forewarn --log-json edge run ")
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 2 * 60, "a window may be stuck for 60 s before it counts"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_rated_well(repository):
    unit = Path(repository, "forewarn", "deploy", "forewarn-edge.service")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
