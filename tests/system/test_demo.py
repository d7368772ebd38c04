"""The whole loop, run as a user runs it; the processes, the network and the lake are the real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

DEMO = [sys.executable, "-m", "forewarn", "demo", "--page", "127.0.0.1:0"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The report of one headless demo on simulated machines."""
    work = tmp_path_factory.mktemp("demo")
    file = work / "report.json"
    command = [*DEMO, "--headless", "--work", str(work / "demo"), "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(file.read_text())


@pytest.mark.timeout(320)
def test_the_loop_loses_and_doubles_nothing_although_the_gateway_is_killed(report: dict) -> None:
    assert report["windows_sent"] > 1000
    assert report["gateway_killed"]["stored"] > 0
    assert report["gateway_killed"]["on_the_way"] > 0
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert report["records"]["quarantined"] == 0
    assert report["records"]["stored"] == report["records"]["produced"]


def test_the_bundle_is_verified_and_outlives_the_demo(report: dict) -> None:
    assert report["bundle"]["verified"] is True
    assert Path(report["bundle"]["path"]).stat().st_size > 1000


def test_onnx_says_what_torch_says(report: dict) -> None:
    assert 0 <= report["parity"]["max_abs"] <= 1e-4


def test_every_agent_runs_the_model_within_ten_seconds_of_the_promote(report: dict) -> None:
    assert report["promote_to_running_s"] <= 10


def test_machines_that_no_model_has_seen_alarm_before_they_fail(report: dict) -> None:
    held_back = [a for a in report["alarms"] if a["held_back"]]
    assert {a["machine"] for a in held_back} == set(report["machines"]["held_back"])
    assert all(0 < a["share_of_life"] < 1 for a in held_back)


def test_figures_on_held_back_machines_stand_beside_their_floors(report: dict) -> None:
    for figures in report["evaluation"].values():
        assert {"ours", "floor_constant", "floor_age"} <= figures.keys()


def test_the_demo_says_simulated(report: dict) -> None:
    assert report["simulated"] is True


def _processes_of(group: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.parametrize("moment", ["gateway and pages start", "all machines are live", "ray"])
def test_ctrl_c_at_any_moment_leaves_no_process_behind(tmp_path: Path, moment: str) -> None:
    command = [*DEMO, "--headless", "--work", str(tmp_path / "demo")]
    demo = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    give_up = threading.Timer(100, lambda: os.killpg(demo.pid, signal.SIGKILL))
    give_up.start()
    try:
        seen = list(_until(demo, moment))
        assert moment in seen[-1].lower(), "".join(seen)
        family = psutil.Process(demo.pid).children(recursive=True)
        os.killpg(demo.pid, signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(timeout=40) == 130, rest[-3000:]
        psutil.wait_procs(family, timeout=10)
        psutil.wait_procs(_processes_of(demo.pid), timeout=10)  # one may have been born while the family was listed
        assert _processes_of(demo.pid) == []
        assert [p for p in family if p.is_running()] == []
    finally:
        give_up.cancel()
        demo.stdout.close()


def _until(process: subprocess.Popen[str], moment: str) -> Iterator[str]:
    """Yield what the demo prints up to the moment; its output stays open, or the demo would die of a broken pipe."""
    assert process.stdout is not None
    while line := process.stdout.readline():
        yield line
        if moment in line.lower():
            return
