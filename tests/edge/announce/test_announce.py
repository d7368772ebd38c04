"""Telling of an alarm without the cloud: a relay's program and a webhook, neither of which holds anybody up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.announce import AnnounceConfig, Announcer
from edge.announce.event import Event, Sender, event_of
from edge.announce.relay import Relay
from edge.announce.webhook import Webhook
from edge.announce.worker import Untold, Way, Worker
from edge.types import Alarm, AlarmChange, Evidence, Machine
from models.errors import ConfigurationError

MACHINE = Machine(name="P-101", machine_class="pump", channels=(), line="Hall 2", simulated=True)
SENDER = Sender("demo", "Werk 2", "edge-7")
ALARM = Alarm(
    key="P-101/ab-1",
    change=AlarmChange.RAISED,
    machine="P-101",
    channel="vertical",
    time_ns=1_700_000_000_500_000_000,
    severity="D",
    confidence="quite_sure",
    part="bearing",
    fault="outer_race",
    source="baseline",
    score=float("nan"),
    threshold=4.5,
    evidence=(Evidence(feature="rms@1", channel="vertical", unit="g", value=2.0, baseline=1.0, limit=1.5),),
)
EVENT = event_of(ALARM, MACHINE, SENDER)


class Receiver:
    """A real HTTP server; `answers` are its statuses, the last for ever."""

    def __init__(self, *answers: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.changed = threading.Condition()
        self.release = threading.Event()
        self.release.set()
        statuses = list(answers)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.release.wait(10)
                with receiver.changed:
                    receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                    receiver.changed.notify_all()
                self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=lambda: self.server.serve_forever(0.02), daemon=True)
        self.thread.start()

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, 10), f"only {len(self.got)} posts"

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def receive() -> Iterator[type[Receiver]]:
    made: list[Receiver] = []

    def make(*answers: int) -> Receiver:
        made.append(Receiver(*answers))
        return made[-1]

    yield make  # type: ignore[misc]
    for receiver in made:
        receiver.close()


def tell(way: Way, jitter: Callable[[float, float], float] = lambda _low, _high: 0.01, **said: object) -> None:
    """Have one event told, to its end."""
    worker = Worker(way, 8, jitter=jitter, **said)  # type: ignore[arg-type]
    worker.put("P-101", EVENT)
    worker.finish()
    worker.close(time.monotonic() + 20)
    assert worker.waiting("P-101") == []


def test_an_event_is_a_cloud_event_that_says_what_where_and_why() -> None:
    body = json.loads(EVENT.body)
    assert body["specversion"] == "1.0"
    assert body["id"] == "P-101/ab-1/raised/1700000000500000000"
    assert body["source"] == "/forewarn/demo/Werk%202/edge-7"
    assert body["type"] == "forewarn.alarm.raised.v1"
    assert body["time"] == "2023-11-14T22:13:20.500Z"
    assert body["data"]["severity_words"] == "Act now"
    assert body["data"]["text"] == "The outer ring of the bearing is damaged."
    assert body["data"]["do"].startswith("Listen at the bearing")
    assert "greasing" in body["data"]["disprove"]
    assert body["data"]["evidence"][0]["limit"] == 1.5
    assert body["data"]["score"] is None  # JSON knows no NaN
    assert body["data"]["simulated"] is True


def test_an_alarm_that_is_over_does_not_say_its_fault_again() -> None:
    over = Alarm(**{f: getattr(ALARM, f) for f in Alarm.__slots__} | {"change": AlarmChange.RETURNED_TO_NORMAL})
    data = json.loads(event_of(over, MACHINE, SENDER).body)["data"]
    assert (data["change"], data["text"]) == ("returned_to_normal", "What raised this alarm is gone.")
    assert data["fault"] == "outer_race"  # which one, for programs


def test_a_webhook_that_fails_is_tried_again_until_it_takes_the_very_same_event(receive) -> None:
    receiver = receive(503, 429, 204)
    tell(Webhook(receiver.url, secret=b"s3cret"))
    assert len(receiver.got) == 3
    assert {body for _, body in receiver.got} == {EVENT.body}
    headers, body = receiver.got[-1]
    assert headers["content-type"].startswith("application/cloudevents+json")
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    mac = base64.b64encode(hmac.new(b"s3cret", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert len({h["webhook-id"] for h, _ in receiver.got}) == 1


def test_a_webhook_that_is_away_at_first_is_reached_when_it_comes_back(free_port: int, receive) -> None:
    refused: list[float] = []

    def jitter(low: float, high: float) -> float:
        refused.append(high)
        if len(refused) == 3:
            hook._url = receive(200).url
        return 0.01

    hook = Webhook(f"http://127.0.0.1:{free_port}/")
    with capture_logs() as log:
        tell(hook, jitter)
    assert refused == [0.5, 1.0, 2.0]
    assert [e["event"] for e in log] == ["not announced, trying again"]  # once, not at each attempt


@pytest.mark.parametrize("status", [400, 404, 302])
def test_an_answer_that_will_not_change_is_not_asked_for_again(receive, status: int) -> None:
    receiver = receive(status)
    with capture_logs() as log:
        tell(Webhook(receiver.url))
    assert len(receiver.got) == 1  # nor is a redirect followed
    assert log[0]["event"] == "announcement given up"
    assert log[0]["reason"] == f"answered {status}"


def test_a_webhook_is_given_up_after_its_time(receive) -> None:
    receiver = receive(500)
    clock = iter([0.0, 100.0, 200.0, 400.0])
    with capture_logs() as log:
        tell(Webhook(receiver.url, retry_s=300.0), clock_s=lambda: next(clock))
    assert len(receiver.got) == 3
    assert log[-1]["event"] == "announcement given up"
    assert log[-1]["reason"] == "answered 500"


def relay(folder: Path, script: str, deadline_s: float = 10.0) -> Relay:
    return Relay([sys.executable, "-S", "-c", script, str(folder / "out")], deadline_s)


def test_a_relay_reads_the_alarm_on_its_standard_input(tmp_path: Path) -> None:
    relay(tmp_path, "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())").tell(EVENT, threading.Event())
    assert json.loads((tmp_path / "out").read_text())["data"]["machine"] == "P-101"


def test_a_relay_that_hangs_is_killed_with_its_children_at_its_deadline(tmp_path: Path) -> None:
    script = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(60)
"""
    started = time.monotonic()
    untold = relay(tmp_path, script, 0.5).tell(EVENT, threading.Event())
    assert 0.5 <= time.monotonic() - started < 5
    assert untold is not None
    assert "killed after 0." in untold.reason
    child = int((tmp_path / "out").read_text())
    until = time.monotonic() + 5
    while _alive(child):
        assert time.monotonic() < until, "its child lives on"
        time.sleep(0.01)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("command", "said"),
    [(("/no/such/program",), "/no/such/program not started"), (("false",), "false ended with code")],
)
def test_a_relay_that_cannot_work_is_said_tried_again_and_given_up(command: tuple[str, ...], said: str) -> None:
    pauses: list[float] = []
    with capture_logs() as log:
        tell(
            Relay(command, 5.0, retry_s=300.0),
            lambda low, high: pauses.append(high) or 0.01,  # type: ignore[func-returns-value]
            clock_s=lambda: 100.0 * len(pauses),  # each attempt is 100 s after the one before
        )
    assert [e["event"] for e in log] == ["not announced, trying again", "announcement given up"]
    assert all(e["reason"].startswith(said) for e in log)
    assert pauses == [0.5, 1.0, 2.0]


def test_both_ways_are_told_at_once_and_neither_holds_up_who_announces(receive, tmp_path: Path) -> None:
    receiver = receive(200)
    receiver.release.clear()
    hanging = relay(tmp_path, "import time; time.sleep(60)", 60.0)
    announcer = Announcer([hanging, Webhook(receiver.url)], SENDER)
    started = time.monotonic()
    for _ in range(20):
        announcer.announce(ALARM, MACHINE)
    assert time.monotonic() - started < 0.2
    receiver.release.set()
    receiver.wait(20)
    announcer.close(0.05)
    assert time.monotonic() - started < 5


class Slow:
    """A way that waits for the test."""

    name = "slow"
    retry_s = 60.0

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.begun = threading.Event()
        self.go = threading.Event()

    def tell(self, event: Event, stopping: threading.Event) -> Untold | None:
        self.begun.set()
        assert self.go.wait(10)
        self.told.append(event)
        if len(self.told) == 1:
            raise RuntimeError("a fault of one event")
        return None


def test_a_full_queue_gives_up_its_oldest_and_a_fault_does_not_silence_the_next() -> None:
    slow = Slow()
    announcer = Announcer([slow], SENDER, longest_queue=2)
    with capture_logs() as log:
        for n in range(5):
            announcer.announce(_numbered(n), MACHINE)
            assert slow.begun.wait(10)
        slow.go.set()
        announcer.close()
    assert [e.id.split("/")[1] for e in slow.told] == ["0", "3", "4"]
    events = [e["event"] for e in log]
    assert events.count("announcement given up, too many wait") == 2
    assert events.count("announcement failed") == 1


def _numbered(n: int) -> Alarm:
    return Alarm(**{f: getattr(ALARM, f) for f in Alarm.__slots__} | {"key": f"P-101/{n}"})


def test_what_nobody_took_is_told_after_a_restart_in_its_order_and_under_its_id(receive) -> None:
    away, there = receive(503), receive(200)
    before = Announcer([Webhook(away.url)], SENDER)
    for n in range(3):
        before.announce(_numbered(n), MACHINE)
    away.wait(1)
    state = before.state("P-101")
    before.close(0.0)
    assert before.state("P-101") == state  # a clean stop leaves what a kill leaves
    after = Announcer([Webhook(there.url)], SENDER)
    after.restore("P-101", state.get)
    there.wait(3)
    after.close()
    keys = [json.loads(body)["data"]["key"] for _, body in there.got]
    assert keys == [f"P-101/{n}" for n in range(3)]
    assert there.got[0][1] == away.got[0][1]
    assert Announcer([], SENDER).state("P-101") == after.state("P-101")  # nothing is left to be told again


def test_a_way_that_is_no_longer_configured_is_told_nothing(receive) -> None:
    away = receive(503)
    before = Announcer([Webhook(away.url)], SENDER)
    before.announce(ALARM, MACHINE)
    state = before.state("P-101")
    before.close(0.0)
    slow = Slow()
    after = Announcer([slow], SENDER)
    after.restore("P-101", state.get)
    after.close()
    assert slow.told == []


def test_a_secret_that_is_missing_or_empty_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name in ("missing", "empty"):
        config = AnnounceConfig(webhook="http://127.0.0.1:1/", webhook_secret=str(tmp_path / name))
        with pytest.raises(ConfigurationError):
            Announcer.of(config, SENDER)
