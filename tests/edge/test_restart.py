"""A device that is killed, as a process: what it had to tell is told, what it had to keep apart is kept apart."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edge.recorder import overview
from protos.forewarn.alert.v1 import alert_pb2
from tests.edge.agent_process import AgentProcess

RELAY = "import os, sys; os.path.exists('{0}') or sys.exit(1); open('{1}', 'a').write(sys.stdin.read() + chr(10))"
TAIL = """[announce]
webhook = "{hook}"
relay = ["{python}", "-S", "-c", "{relay}"]
relay_retry_seconds = 600
[flight]
quota_bytes = 50_000_000
windows_after = 10_000
"""


class Receiver:
    """A webhook's other side: away (503) until `there` is set."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.refused: set[str] = set()
        self.taken: list[str] = []  # the ids, in order
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))["id"]
                there = receiver.there.is_set()
                receiver.taken.append(event) if there else receiver.refused.add(event)
                self.send_response(204 if there else 503)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.02), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def until(ready: Callable[[], bool], agent: AgentProcess, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < end, agent.said()
        time.sleep(0.02)


def raised(agent: AgentProcess) -> list[str]:
    """The ids of the events of all alarms in the store, in their order."""
    with sqlite3.connect(f"file:{agent.store / 'outbox.sqlite'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT data FROM parcel JOIN blob ON blob.id = blob WHERE kind = 5 ORDER BY last").fetchall()
    alarms = [alert_pb2.Alert.FromString(data) for (data,) in rows]
    words = {1: "raised", 2: "worsened", 3: "returned_to_normal"}
    return [f"{a.key}/{words[a.change]}/{a.event_time_ns}" for a in alarms]


def test_a_device_killed_in_an_alarm_goes_on_at_once_tells_it_and_keeps_what_follows(
    tmp_path: Path, receiver: Receiver
) -> None:
    """At 2,000 times real time: what had run when it was killed is not listened to in silence again."""
    ok, out = tmp_path / "ok", tmp_path / "relayed.jsonl"
    tail = TAIL.format(hook=receiver.url, python=sys.executable, relay=RELAY.format(ok, out))
    agent = AgentProcess(tmp_path, None, windows=400, speed=2000.0, tail=tail)
    try:
        agent.start("--stay")
        until(lambda: any(k.frozen for k in _kept(agent)) and bool(receiver.refused), agent)
        agent.kill()
        (frozen,) = [k for k in _kept(agent) if k.frozen]
        assert frozen.last_ns < 1_577_836_800_000_000_000 + 3_990_000_000_000  # not at the end of the machine's life

        receiver.there.set()
        ok.touch()
        agent.start("--stay")
        until(lambda: "source ended" in agent.said(), agent)
        due = raised(agent)
        assert due
        until(lambda: set(receiver.taken) >= set(due) and len(_relayed(out)) >= len(due), agent)
        agent.send(signal.SIGTERM)
        assert agent.wait() == 0, agent.said()
        for told in (receiver.taken, _relayed(out)):
            assert list(dict.fromkeys(told)) == due  # all, in their order, under their own ids
            assert max(Counter(told).values()) <= 2

        (frozen,) = [k for k in _kept(agent) if k.frozen]  # one file for one alarm
        assert frozen.last_ns == 1_577_836_800_000_000_000 + 3_990_000_000_000
        assert frozen.windows >= (frozen.last_ns - frozen.first_ns) // 10_000_000_000 + 1  # none is missing
        before = len(receiver.taken), len(_relayed(out))
        agent.start()
        until(lambda: "source ended" in agent.said()[-600:] and "windows=0" in agent.said(), agent)
        agent.send(signal.SIGTERM)
        agent.wait()
        assert (len(receiver.taken), len(_relayed(out))) == before  # told is told
    finally:
        agent.kill()


def _kept(agent: AgentProcess) -> list:
    return overview(agent.store) if (agent.store / "flight").is_dir() else []


def _relayed(file: Path) -> list[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["id"] for line in lines]
