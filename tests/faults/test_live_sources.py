"""Live sources through a real agent to a real gateway: what they said is stored exactly once, whatever is killed."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud.wiring import Cloud, open_cloud
from tests.faults.history import in_cloud, remembered, violations
from tests.servers.mosquitto import Mosquitto
from tests.soak import Gateway
from tests.warm import Command

NOW_NS = time.time_ns() - 3_600 * 10**9
SAMPLES = 256
SITE = """device = "edge-1"
store = "store"
gateways = ["{gateway}"]
uplink = {{ longest_retry_seconds = 0.1, welcome_seconds = 2.0, stored_seconds = 5.0 }}
[[machine]]
name = "P-101"
source = {{ kind = "push", listen = "unix:p101.sock", channels = [{channel}] }}
[[machine]]
name = "P-102"
source = {{ kind = "mqtt", host = "127.0.0.1", port = {port}, topic = "{topic}", client_id = "{topic}", longest_retry_seconds = 0.1, channels = [{channel}] }}
"""  # noqa: E501 - TOML's inline tables are one line
CHANNEL = '{ name = "horizontal", unit = "g", rate_hz = 6400, scale = 0.001 }'


def measurement(index: int) -> bytes:
    """Window `index`: its values and its time say which one it is."""
    counts = [1000 + index * (-1) ** i for i in range(SAMPLES)]
    return json.dumps({"time_ns": NOW_NS + index * 10**9, "channels": {"horizontal": counts}}).encode()


class Plant:
    """A gateway, an agent of two machines, and the two programs that feed it."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self._broker = broker
        self._topic = f"plant-{folder.parent.name}-{folder.name}"
        (folder / "cloud").mkdir()
        (folder / "cloud" / "cloud.toml").write_text("segment_seconds = 0.05\ncompact_seconds = 0\n")
        (folder / "store").mkdir()
        (folder / "log.txt").touch()
        self.gateway = Gateway(folder / "cloud")
        site = SITE.format(gateway=self.gateway.address, port=broker.port, topic=self._topic, channel=CHANNEL)
        (folder / "site.toml").write_text(site)
        self.start()

    def start(self) -> None:
        self.agent = Command(self.folder / "log.txt", "edge", "run", "--config", str(self.folder / "site.toml"))

    def push(self, *indices: int) -> None:
        """As the documented program does: a window that could not be sent is sent again."""
        lines = b"".join(measurement(i) + b"\n" for i in indices)
        until(lambda: self._pushed(lines), self)

    def _pushed(self, lines: bytes) -> bool:
        with socket.socket(socket.AF_UNIX) as program:
            program.settimeout(5)
            try:
                program.connect(str(self.folder / "p101.sock"))
                program.sendall(lines)
                program.shutdown(socket.SHUT_WR)
                return program.recv(1000) == b""  # all was read, and nothing refused
            except OSError:
                return False

    def publish(self, *indices: int) -> None:
        from paho.mqtt.publish import multiple

        messages = [{"topic": self._topic, "payload": measurement(i), "qos": 1} for i in indices]
        multiple(messages, hostname="127.0.0.1", port=self._broker.port)

    def kept(self, machine: str) -> int:
        """How many windows of a machine the agent has taken, as its store says."""
        try:
            with sqlite3.connect(f"file:{self.folder / 'store' / 'outbox.sqlite'}?mode=ro", uri=True) as db:
                row = db.execute("SELECT value FROM state WHERE name = ?", (f"heard/{machine}",)).fetchone()
        except sqlite3.OperationalError:
            return 0
        return len(row[0]) // 8 if row else 0

    def said(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        self.agent.close()
        self.gateway.close()


@pytest.fixture
def plant(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Plant]:
    made = Plant(tmp_path, mosquitto)
    yield made
    made.close()


def until(ready: Callable[[], bool], plant: Plant, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < end, plant.said()
        time.sleep(0.02)


def event_times(cloud: Cloud, machine: str, kind: str) -> Counter[int]:
    """Which windows of a machine are stored, and how often."""
    rows = cloud.lake.rows(kind).to_pylist()
    return Counter((r["event_time_ns"] - NOW_NS) // 10**9 for r in rows if r["machine"] == machine)


def test_what_live_sources_said_is_stored_exactly_once_also_over_kills_of_the_agent_and_the_gateway(
    plant: Plant,
) -> None:
    until(lambda: "source connected" in plant.said(), plant)
    plant.push(*range(1, 11))
    plant.publish(*range(1, 11))
    until(lambda: plant.kept("P-101") == plant.kept("P-102") == 10, plant)
    plant.agent.kill()  # in the middle of its delivery
    plant.publish(*range(11, 16))  # the broker keeps them
    plant.start()
    plant.push(10, 11, 12, 13, 14, 15)  # the program does not know of its last window, and sends it again
    until(lambda: plant.kept("P-101") == plant.kept("P-102") == 15, plant)
    plant.gateway.kill()
    plant.push(*range(16, 21))
    plant.publish(*range(15, 21))  # 15 as a broker sends it whose answer was lost
    until(lambda: plant.kept("P-101") == plant.kept("P-102") == 20, plant)
    plant.gateway.start()
    assert plant.agent.stop() == 0, plant.said()  # it delivers all it has first

    cloud = open_cloud(plant.folder / "cloud")
    memory = remembered("edge-1", plant.folder / "store" / "outbox.sqlite")
    assert violations({"edge-1": memory}, in_cloud(cloud), at_rest=True) == []
    for machine in ("P-101", "P-102"):
        for kind in ("features", "health"):
            assert event_times(cloud, machine, kind) == dict.fromkeys(range(1, 21), 1), (machine, kind)
    cloud.close()
