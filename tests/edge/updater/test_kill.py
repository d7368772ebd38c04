from __future__ import annotations

import time
from pathlib import Path

import psutil

from edge.updater.slots import Slots
from tests.edge.updater.agent import run
from tests.edge.updater.conftest import Site, data_of
from tests.warm import Forked

ROUNDS = 6


def start(tmp_path: Path, site: Site, bundle: str) -> Forked:
    arguments = (tmp_path / "slots", site.registry.trust_root, site.files, bundle)
    return Forked(tmp_path / "log.txt", run, *map(str, arguments))


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


def test_an_agent_killed_at_any_time_has_the_old_model_or_the_new_one(tmp_path: Path, site: Site):
    """The kills are spread over the time that download, verify and switch took undisturbed."""
    slots = tmp_path / "slots"
    first = start(tmp_path, site, site.champion("b-0"))
    assert first.line().split() == ["loaded"]
    begin = time.monotonic()
    assert first.line().split() == ["running", "b-0"]
    took = time.monotonic() - begin
    first.close()
    left_by_the_kill = "b-0"
    for i in range(1, ROUNDS + 1):
        agent = start(tmp_path, site, site.champion(f"b-{i}"))
        assert agent.line().split() == ["loaded", left_by_the_kill], "it runs at once"
        time.sleep(took * 1.2 * i / ROUNDS)  # not a wait: the moment of the kill
        agent.close()
        record, path = Slots(slots).current("bearing")
        assert record.name in {left_by_the_kill, f"b-{i}"}
        assert path.read_bytes() == data_of(record.name)
        left_by_the_kill = record.name
    deadline = time.monotonic() + 10
    while left := trials(slots):
        assert time.monotonic() < deadline, f"{left} outlived their agents"
        time.sleep(0.05)
    last = start(tmp_path, site, f"b-{ROUNDS}")
    assert last.line().split() == ["loaded", left_by_the_kill]
    assert last.line().split() == ["running", f"b-{ROUNDS}"]
    last.close()
