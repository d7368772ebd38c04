from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from edge.updater.slots import Slots
from tests.edge.updater.conftest import Site, data_of

ROUNDS = 6


def start(tmp_path: Path, site: Site, bundle: str, repository: Path) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("agent.py")
    arguments = (tmp_path / "slots", site.registry.trust_root, site.files, bundle)
    command = [sys.executable, str(script), *map(str, arguments)]
    environment = {"PYTHONPATH": str(repository), "PATH": ""}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def trials(slots: Path) -> list[psutil.Process]:
    """Trials of this device that still run: their error output lies in its staging folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if "edge.updater.child" in process.cmdline() and Path(
                f"/proc/{process.pid}/fd/2"
            ).readlink().is_relative_to(slots):
                found.append(process)
        except (psutil.Error, OSError):  # it ended while we looked
            continue
    return found


def test_an_agent_killed_at_any_time_has_the_old_model_or_the_new_one(tmp_path: Path, site: Site, repository: Path):
    """The kills are spread over the time that download, verify and switch took undisturbed."""
    slots = tmp_path / "slots"
    first = start(tmp_path, site, site.champion("b-0"), repository)
    assert first.stdout is not None
    assert first.stdout.readline().split() == ["loaded"]
    begin = time.monotonic()
    assert first.stdout.readline().split() == ["running", "b-0"]
    took = time.monotonic() - begin
    first.communicate(timeout=10)
    left_by_the_kill = "b-0"
    for i in range(1, ROUNDS + 1):
        agent = start(tmp_path, site, site.champion(f"b-{i}"), repository)
        assert agent.stdout is not None
        assert agent.stdout.readline().split() == ["loaded", left_by_the_kill], "it runs at once"
        time.sleep(took * 1.2 * i / ROUNDS)  # not a wait: the moment of the kill
        agent.kill()
        agent.communicate(timeout=10)
        record, path = Slots(slots).current("bearing")
        assert record.name in {left_by_the_kill, f"b-{i}"}
        assert path.read_bytes() == data_of(record.name)
        left_by_the_kill = record.name
    deadline = time.monotonic() + 10
    while left := trials(slots):
        assert time.monotonic() < deadline, f"{left} outlived their agents"
        time.sleep(0.05)
    out, _ = start(tmp_path, site, f"b-{ROUNDS}", repository).communicate(timeout=60)
    assert out.split()[-2:] == ["running", f"b-{ROUNDS}"]
