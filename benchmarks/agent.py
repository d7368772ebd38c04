"""A real `forewarn edge run` beside a real gateway: its memory, what it has loaded, and its time to a decision.

Memory is the resident memory of the agent's process, in MiB, once it has judged windows with a model that came through
the gateway, and delivered them. More than half of it are pages of libraries, which the kernel may take back, and of
which it maps more on one machine than on another; `agent_private_mb` is what belongs to the process alone. Its floor,
in the same run, is a process that has only imported the agent's libraries. What must never be there (torch, ray, scipy,
pandas) is looked for among the shared objects that the process has mapped.
"""

from __future__ import annotations

import base64
import json
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
from benchmarks.load import gateway
from cloud.wiring import open_cloud
from edge.sensors.simulator import AXES, Simulator

WINDOWS = 600
PAUSE_S = 0.02  # between the windows that are pushed: both channels at five times real time
DEADLINE_S = 180.0
QUICK_S = 0.02
NEVER = ("torch", "ray", "scipy", "pandas")
_IMPORTS = """
import numpy, onnxruntime, grpc.aio
print(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])
"""
_BUSY = "while True: pass"


def measure() -> dict[str, Any]:
    """`agent_rss_mb`, its floor, and which of NEVER it has loaded."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, _ = stack.enter_context(gateway(folder / "cloud"))
        cloud = open_cloud(folder / "cloud")
        name, data = network.packed()
        cloud.registry.publish(data)
        cloud.registry.promote(name)
        process, port, socket_file = stack.enter_context(_agent(folder, address, cloud.trust_root))
        _until(lambda: name in _metrics(port))
        _push(socket_file, range(WINDOWS), port)
        rss_mb, private_mb = (n / 2**20 for n in (process.memory_info().rss, process.memory_full_info().uss))
        before = _decisions(port)
        with _busy():
            _push(socket_file, range(WINDOWS, 2 * WINDOWS), port)
        return {
            "agent_rss_mb": rss_mb,
            "agent_private_mb": private_mb,
            "bare_imports_rss_mb": _bare_imports_mb(),
            "agent_windows": WINDOWS,
            "agent_has_loaded": sorted(_loaded(process)),
            "decided": _quantile(before, _decisions(port)),
        }


@contextmanager
def _agent(folder: Path, gateway_address: str, trust: Path) -> Iterator[tuple[psutil.Process, int, Path]]:
    """A device of one machine whose windows are pushed to it; yields its process, status port and socket."""
    (folder / "store").mkdir()
    port, socket_file = _free_port(), folder / "machine.sock"
    config = folder / "site.toml"
    channels = ", ".join(f'{{ name = "{axis}", unit = "g", rate_hz = 25600 }}' for axis in AXES)
    config.write_text(
        f"""device = "benchmark"
store = "store"
trust = "{trust}"
gateways = ["{gateway_address}"]
status_port = {port}
[[machine]]
name = "P-101"
[machine.source]
kind = "push"
listen = "unix:{socket_file.name}"
channels = [{channels}]
speed_rpm = 1800
bearing = {{ balls = 9, ball_diameter = 7.94, pitch_diameter = 39.04 }}
"""
    )
    command = [sys.executable, "-m", "forewarn", "--log-level", "error", "edge", "run", "--config", str(config)]
    with _running(command) as process:
        _until(socket_file.exists)
        yield psutil.Process(process.pid), port, socket_file


def _push(socket_file: Path, indices: range, port: int) -> None:
    """Push these windows of a simulated machine, and wait until all have been judged."""
    simulator = Simulator("P-101", 1, "none", speed=None)
    with socket.socket(socket.AF_UNIX) as program:
        program.connect(str(socket_file))
        for i in indices:
            window = simulator.window(i)
            packed = {a: {"type": "f4", "data": base64.b64encode(window.samples[a]).decode()} for a in AXES}
            program.sendall(json.dumps({"time_ns": window.time_ns, "channels": packed}).encode() + b"\n")
            time.sleep(PAUSE_S)
        _until(lambda: f'forewarn_windows_total{{machine="P-101"}} {indices.stop}' in _metrics(port))


def _metrics(port: int) -> str:
    """The agent's own page of figures; empty before it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _decisions(port: int) -> dict[float, int]:
    """How many windows were decided within so many seconds, from the agent's own histogram."""
    found = re.findall(r'^forewarn_decision_seconds_bucket\{.*le="([^"]+)"\} (\d+)', _metrics(port), re.MULTILINE)
    return {float(le): int(count) for le, count in found}


def _quantile(before: dict[float, int], after: dict[float, int]) -> dict[str, float]:
    """Of the windows between two readings: the share decided within QUICK_S, and the bucket that holds the 99th %."""
    counts = {le: n - before.get(le, 0) for le, n in after.items()}
    total = counts[float("inf")]
    p99 = min(le for le, n in counts.items() if n >= 0.99 * total)
    return {"windows": total, "within_20_ms": counts[QUICK_S] / total, "p99_at_most_ms": 1000.0 * p99}


@contextmanager
def _busy() -> Iterator[None]:
    """Another process that keeps a core busy."""
    with _running([sys.executable, "-c", _BUSY]):
        yield


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


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
        ("agent_rss_mb (at most 95), MiB", f"{found['agent_rss_mb']:.1f}"),
        ("  of it private to the process, MiB", f"{found['agent_private_mb']:.1f}"),
        ("  a process that imported its libraries, MiB", f"{found['bare_imports_rss_mb']:.0f}"),
        ("  it has loaded of torch, ray, scipy, pandas", loaded),
        ("window to decision in the agent, p99 (at most 20 ms)", f"{found['decided']['p99_at_most_ms']:g} ms or less"),
        ("  decided within 20 ms, another process busy", f"{found['decided']['within_20_ms']:.4f}"),
    ]
