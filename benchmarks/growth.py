"""What an agent's memory grows by over its years: 1,000 model switches and 10,000 reconnects, at most 5 MB each.

The agent and the gateway are the commands that a plant runs, with a proxy between them that resets the connection after
each Welcome; a reconnect counts when the gateway has taken its Hello. Switches are counted twice: 1,000 hot switches of
models between two windows of a listening loop, in a process with nothing else; and some promotions that the real agent
takes from the registry (download, signatures, trial in a process of its own, slot, switch). Memory is the resident one
at the begin and end of each part, after the rounds to warm up that stand beside it.

The peer, in the same run, opens a channel anew for each connection, as clients in Python tend to (grpc issue 38499).
"""

from __future__ import annotations

import json
import os
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
from sqlalchemy import func, select

from benchmarks import network
from benchmarks.growing import grown
from benchmarks.load import gateway
from cloud.catalogue.tables import cursor
from cloud.wiring import Cloud, open_cloud
from tests.faults.proxy import FaultProxy

PROMOTIONS, WARM_PROMOTIONS = 100, 10
RECONNECTS, WARM_RECONNECTS = 10_000, 500
_AS_THE_UNIT_HAS_IT = {**os.environ, "MALLOC_ARENA_MAX": "2"}
MOST_MB = 5.0
DEADLINE_S = 60.0  # of a single round
NAMES = ("benchmark-a", "benchmark-b")


def measure() -> dict[str, Any]:
    """Growth in MiB of each part, and of the peer."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = [folder / name for name in NAMES]
        for file in files:
            file.write_bytes(network.packed(file.name)[1])
        found = {"switches": _child("switching", str(folder), *map(str, files))}
        (folder / "cloud").mkdir()
        (folder / "cloud" / "cloud.toml").write_text("segment_seconds = 0.2\n")
        address, _ = stack.enter_context(gateway(folder / "cloud"))
        cloud = open_cloud(folder / "cloud")
        stack.callback(cloud.close)
        for file in files:
            cloud.registry.publish(file.read_bytes())
        proxy = FaultProxy(int(address.rpartition(":")[2]))
        stack.callback(proxy.close)
        agent = stack.enter_context(_agent(folder, proxy.address, cloud.trust_root))
        found["promotions"] = _promotions(cloud, *agent)
        found["reconnects"] = _reconnects(cloud, proxy, agent[0])
        found["peer_channels"] = _child("channels", address)
    return found


# --- the agent --------------------------------------------------------------------------------------------------------


@contextmanager
def _agent(folder: Path, address: str, trust: Path) -> Iterator[tuple[psutil.Process, int]]:
    """`forewarn edge run` on a simulated machine, a window each second; yields its process and status port."""
    (folder / "store").mkdir()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = int(s.getsockname()[1])
    config = folder / "site.toml"
    config.write_text(
        f"""device = "benchmark"
store = "store"
trust = "{trust}"
gateways = ["{address}"]
status_port = {port}
uplink.longest_retry_seconds = 0.001
[[machine]]
name = "P-101"
source = {{ kind = "simulator", fault = "none", every_seconds = 1.0 }}
"""
    )
    command = [sys.executable, "-m", "forewarn", "--log-level", "error", "edge", "run", "--config", str(config)]
    process = subprocess.Popen(command, env=_AS_THE_UNIT_HAS_IT)
    try:
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(30)


def _promotions(cloud: Cloud, process: psutil.Process, port: int) -> dict[str, Any]:
    def step(i: int) -> None:
        name = NAMES[i % 2]
        cloud.registry.promote(name)
        _until(lambda: f'bundle="{name}"' in _metrics(port))

    return grown(lambda: process.memory_info().rss / 2**20, WARM_PROMOTIONS, PROMOTIONS, step)


def _reconnects(cloud: Cloud, proxy: FaultProxy, process: psutil.Process) -> dict[str, Any]:
    newest = select(func.max(cursor.c.session)).where(cursor.c.device == "benchmark")
    seen = [0]

    def session() -> int:
        with cloud.engine.connect() as connection:
            return int(connection.execute(newest).scalar() or 0)

    def step(_: int) -> None:
        _until(lambda: session() > seen[0], 0.002)
        seen[0] = session()
        proxy.reset()

    return grown(lambda: process.memory_info().rss / 2**20, WARM_RECONNECTS, RECONNECTS, step)


def _metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _until(done: Callable[[], bool], step_s: float = 0.05) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"one round took more than {DEADLINE_S:g} s")
        time.sleep(step_s)


def _child(part: str, *arguments: str) -> dict[str, Any]:
    """One part of `benchmarks.growing`, which says what it found in its last line."""
    command = [sys.executable, "-m", "benchmarks.growing", part, *arguments]
    done = subprocess.run(command, env=_AS_THE_UNIT_HAS_IT, stdout=subprocess.PIPE, check=True, timeout=1800)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines of the table."""
    words = {
        "switches": f"hot switches of a loaded model, MiB (at most {MOST_MB:g} for 1,000)",
        "promotions": "promotions taken by a real agent, MiB",
        "reconnects": f"reconnects of a real agent, MiB (at most {MOST_MB:g} for 10,000)",
        "peer_channels": "the peer: a channel for each connection, MiB",
    }
    return [(f"{found[part]['count']:,} {said}", f"{found[part]['mb']:+.1f}") for part, said in words.items()]
