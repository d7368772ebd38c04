"""A real `forewarn edge run` beside a real gateway: its memory, what it has loaded, and its time to a decision.

Memory is the resident memory of the agent's process once it has judged windows with a model that came through the
gateway, and delivered them. Its floor, in the same run, is a process that has only imported the agent's libraries. What
must never be there (torch, ray, scipy, pandas) is looked for among the shared objects that the process has mapped.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks import network
from benchmarks.ingest import gateway
from cloud.wiring import open_cloud

WINDOWS = 600
DEADLINE_S = 120.0
SPEED = 1000.0  # a window every 10 ms
NEVER = ("torch", "ray", "scipy", "pandas")
_IMPORTS = """
import numpy, onnxruntime, grpc.aio
print(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])
"""


def measure() -> dict[str, Any]:
    """`agent_rss_mb`, its floor, and which of NEVER it has loaded."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, _ = stack.enter_context(gateway(folder / "cloud"))
        cloud = open_cloud(folder / "cloud")
        name, data = network.packed()
        cloud.registry.publish(data)
        cloud.registry.promote(name)
        process, port = stack.enter_context(_agent(folder, address, cloud.trust_root))
        _until(lambda: _windows(port) >= WINDOWS)
        return {
            "agent_rss_mb": process.memory_info().rss / 2**20,
            "bare_imports_rss_mb": _bare_imports_mb(),
            "agent_windows": WINDOWS,
            "agent_model": name,
            "agent_has_loaded": sorted(_loaded(process)),
        }


@contextmanager
def _agent(folder: Path, gateway_address: str, trust: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A device that listens to one simulated machine as fast as it can; yields its process and its status port."""
    (folder / "store").mkdir()
    port = _free_port()
    config = folder / "site.toml"
    config.write_text(
        f"""device = "benchmark"
store = "store"
trust = "{trust}"
gateways = ["{gateway_address}"]
status_port = {port}
[[machine]]
name = "P-101"
source = {{ kind = "simulator", fault = "none", seed = 1, speed = {SPEED} }}
"""
    )
    command = [sys.executable, "-m", "forewarn", "--log-level", "error", "edge", "run", "--config", str(config)]
    process = subprocess.Popen([*command, "--wait-for-bundle"])
    try:
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(20)


def _windows(port: int) -> int:
    """How many windows the agent says that it has judged; 0 before it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            page = answer.read().decode()
    except OSError:
        return 0
    found = re.search(r"^forewarn_windows_total\{.*\} (\d+)", page, re.MULTILINE)
    return int(found[1]) if found else 0


def _loaded(process: psutil.Process) -> set[str]:
    """Which of NEVER has shared objects in the process: each of them brings some when it is imported."""
    mapped = "\n".join(m.path for m in process.memory_maps())
    return {name for name in NEVER if f"/site-packages/{name}/" in mapped}


def _bare_imports_mb() -> float:
    done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout) / 1024


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the agent has not judged its windows within {DEADLINE_S:g} s")
        time.sleep(0.2)


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines of the table."""
    loaded = ", ".join(found["agent_has_loaded"]) or "none"
    return [
        ("agent_rss_mb (at most 95)", f"{found['agent_rss_mb']:.0f}"),
        ("  a process that imported its libraries, MiB", f"{found['bare_imports_rss_mb']:.0f}"),
        ("  it has loaded of torch, ray, scipy, pandas", loaded),
    ]
