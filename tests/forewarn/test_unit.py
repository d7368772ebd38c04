"""The unit of a device: systemd understands it, and what it starts runs as a user without rights, as it says."""

from __future__ import annotations

import configparser
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.servers.processes import unprivileged

SITE = """device = "edge-7"
store = "state"
[page]
listen = "127.0.0.1:0"
[[machine]]
name = "P-101"
source = { kind = "simulator", fault = "none", speed = 60 }
"""


@pytest.fixture
def unit(repository: Path) -> configparser.SectionProxy:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment]
    found.read(repository / "forewarn" / "deploy" / "forewarn-edge.service")
    return found["Service"]


def without_rights() -> str | None:
    """A user of no rights who can reach this Python; None: stay who we are, and root without its capabilities."""
    user = unprivileged("nobody")
    try:
        return user if user and subprocess.run([sys.executable, "-c", ""], user=user).returncode == 0 else None
    except PermissionError:
        return None


class Manager:
    """What a service manager does: a state folder, an environment of its own, and a socket that hears the words."""

    def __init__(self, unit: configparser.SectionProxy, repository: Path) -> None:
        self.unit = unit
        self.folder = Path(tempfile.mkdtemp(prefix="fw-unit-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.user = without_rights()
        state = self.folder / "state"
        state.mkdir(mode=int(unit["StateDirectoryMode"], 8))
        if self.user:
            os.chown(state, pwd.getpwnam(self.user).pw_uid, pwd.getpwnam(self.user).pw_gid)
        self.config = self.folder / "site.toml"
        self.config.write_text(SITE)
        self.words = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.words.bind(str(self.folder / "notify"))
        os.chmod(self.folder / "notify", 0o777)
        self.words.settimeout(60)
        self._environment = {
            **dict(pair.split("=", 1) for pair in unit["Environment"].split()),
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(repository),
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "WATCHDOG_USEC": "1000000",  # the unit's is two minutes
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Run the words of ExecStart, with this Python and this configuration."""
        program, *words = self.unit["ExecStart"].split()
        assert program.endswith("/bin/forewarn")
        words = [str(self.config) if word == "/etc/forewarn/site.toml" else word for word in words]
        as_user: dict[str, Any] = {}
        if self.user:
            as_user = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
        bare = ["setpriv", "--no-new-privs", "--inh-caps=-all"]
        bare += ["--bounding-set=-all"] if os.geteuid() == 0 and not self.user else []
        with (self.folder / "journal").open("ab") as journal:
            self.process = subprocess.Popen(
                [*bare, sys.executable, "-m", "forewarn", *words],
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
                cwd="/",
                env=self._environment,
                umask=int(self.unit["UMask"], 8),
                **as_user,
            )
        return self.process

    def word(self) -> str:
        return self.words.recv(100).decode()

    def journal(self) -> str:
        return (self.folder / "journal").read_text()

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        self.words.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def manager(unit: configparser.SectionProxy, repository: Path) -> Iterator[Manager]:
    made = Manager(unit, repository)
    yield made
    made.close()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_line_of_the_unit(repository: Path, tmp_path: Path) -> None:
    text = (repository / "forewarn" / "deploy" / "forewarn-edge.service").read_text()
    installed = tmp_path / "forewarn-edge.service"
    words = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", installed]

    def complaints(unit: str) -> str:
        installed.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit))  # it is not installed here
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit code {done.returncode}")

    assert complaints(text) == ""
    assert "NoNewPrivilegs" in complaints(text.replace("NoNewPrivileges", "NoNewPrivilegs"))


def test_what_the_unit_starts_runs_without_rights_says_when_it_is_ready_and_ends_in_time(manager: Manager) -> None:
    process = manager.start()
    assert manager.word() == "READY=1", manager.journal()
    assert manager.word() == "WATCHDOG=1"
    until = time.monotonic() + 30
    while not (manager.folder / "state" / "outbox.sqlite").exists():
        assert time.monotonic() < until, manager.journal()
        time.sleep(0.02)
    seen = psutil.Process(process.pid)
    if manager.user:
        assert seen.uids().effective == pwd.getpwnam(manager.user).pw_uid
    rights = dict(line.split(":\t") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    assert (rights["CapEff"], rights["NoNewPrivs"]) == ("0" * 16, "1")
    assert seen.memory_info().rss < int(manager.unit["MemoryHigh"].removesuffix("M")) << 20
    assert seen.num_threads() < int(manager.unit["TasksMax"])
    process.send_signal(signal.SIGTERM)
    said = [manager.word()]
    while said[-1] == "WATCHDOG=1":
        said.append(manager.word())
    assert said[-1] == "STOPPING=1"
    assert process.wait(int(manager.unit["TimeoutStopSec"])) == 0, manager.journal()
    assert all(json.loads(line)["event"] for line in manager.journal().splitlines())
    left = [f for f in (manager.folder / "state").rglob("*") if f.is_file()]
    assert left
    assert all(not f.stat().st_mode & stat.S_IRWXO for f in left)  # nobody else reads it


def test_a_wrong_configuration_ends_with_the_code_that_is_not_restarted(manager: Manager) -> None:
    manager.config.write_text("colour = 5\n")
    assert manager.start().wait(60) == int(manager.unit["RestartPreventExitStatus"])
    assert "colour" in manager.journal()
