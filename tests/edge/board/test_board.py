"""The device's own page, and the trend behind it."""

from __future__ import annotations

import http.client
import math
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from edge.board import Board, MachineBoard
from edge.board.history import Trend
from edge.board.page import SCRIPT, STYLE, render
from edge.board.server import PageServer
from edge.detection import sensors, wiring
from edge.types import Alarm, AlarmChange, Assessment, Channel, ChannelKind, Evidence, Machine, Quality, Window

EVIL = "<script>alert(1)</script>\"'&"
MINUTE = 60_000_000_000
NOW = 1_700_000_000_000_000_000


def machine(name: str = "P-101") -> Machine:
    channel = Channel(name="vertical", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25_600.0)
    return Machine(name=name, machine_class="pump", channels=(channel,), line=f"Hall {name}", simulated=True)


def alarm(name: str = "P-101", change: AlarmChange = AlarmChange.RAISED, severity: str = "C") -> Alarm:
    evidence = Evidence(feature="rms@1", channel=f"axis {name}", unit="g", value=2.5, baseline=1.0, limit=1.5)
    return Alarm(
        key=f"{name}/a-1",
        change=change,
        machine=name,
        channel=f"axis {name}",
        time_ns=NOW,
        severity=severity,
        confidence="quite_sure",
        part="bearing",
        fault="outer_race",
        source=f"model {name}",
        score=9.0,
        threshold=4.0,
        evidence=(evidence,),
    )


def board_of(name: str = "P-101", *, alarms: bool = True, windows: int = 30) -> tuple[Board, MachineBoard]:
    board = Board(f"edge {name}", f"site {name}")
    one = board.add(MachineBoard(machine(name), days=7))
    for i in range(windows):
        window = Window(machine=name, time_ns=NOW + i * MINUTE, samples={"vertical": np.zeros(1, np.float32)})
        one.take(window, None, float(i), [alarm(name)] if alarms and i == 20 else [])
    return board, one


class Tags(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_what_is_wrong_with_shape_letter_and_word_and_why() -> None:
    board, _ = board_of()
    text = Tags(render(board, NOW)).text
    assert "1 of 1 machine needs action" in text
    assert "\N{BLACK UP-POINTING TRIANGLE} C Plan work" in text
    assert "The outer ring of the bearing is damaged." in text
    assert "2.5 g" in text
    assert "This machine is simulated." in text
    assert "highest 29 at" in text


def test_an_alarm_says_what_to_do_what_would_disprove_it_and_why_there_is_no_date() -> None:
    board, one = board_of(alarms=False)
    by_baseline = replace(
        alarm(), source="baseline", part="machine", fault="degradation", no_estimate_reason="no_model"
    )
    one.take(Window(machine="P-101", time_ns=NOW + 40 * MINUTE, samples={}), None, 9.0, [by_baseline], limit=4.0)
    page = render(board, NOW)
    text = Tags(page).text
    assert "The machine behaves unlike its healthy start." in text, "no model has said that it wears out"
    assert "Do this: Go and look" in text
    assert "It would be wrong if load, speed or product changed" in text
    assert "No estimate of the remaining life: no model runs here yet." in text
    assert "deviation from its healthy start 9, limit 4" in text
    assert "@1" not in text


def test_the_trend_is_drawn_below_its_limit_so_that_a_healthy_machine_looks_healthy() -> None:
    board, one = board_of(alarms=False, windows=3)
    one.take(Window(machine="P-101", time_ns=NOW + 4 * MINUTE, samples={}), None, 1.0, [], limit=5.0)
    (shown,) = board.shown()
    page = render(board, NOW)
    assert shown.limit == 5.0
    assert 'class="limit"' in page
    assert "work is due from 5.0" in Tags(page).text


@pytest.mark.parametrize(
    "fault",
    [
        *(sensors.DROPOUT, sensors.DEAD, sensors.STUCK, sensors.CLIPPED, sensors.INTERMITTENT, sensors.SPIKES),
        *(wiring.UNIT, wiring.SWAPPED),
    ],
)
def test_every_sensor_fault_has_words_of_its_own(fault: str) -> None:
    board, one = board_of(alarms=False)
    of_sensor = replace(alarm(), part="sensor", fault=fault, source="baseline")
    one.take(Window(machine="P-101", time_ns=NOW + 40 * MINUTE, samples={}), None, 0.0, [of_sensor])
    text = Tags(render(board, NOW)).text
    assert "Sensor fault: " in text
    assert "in an unusual way" not in text
    assert "remaining life" not in text


def test_names_are_inert_wherever_they_stand() -> None:
    board, _ = board_of(EVIL)
    page = render(board, NOW)
    parsed = Tags(page)
    assert parsed.tags.count("script") == 1  # the page's own
    assert parsed.text.count("<script>alert(1)</script>") >= 5  # as text: device, site, machine, line, channel, model
    assert not [a for a, _ in parsed.attributes if a.startswith("on") or a == "style"]


def test_nothing_comes_from_elsewhere() -> None:
    board, _ = board_of()
    parsed = Tags(render(board, NOW))
    links = [v for a, v in parsed.attributes if a in {"src", "href", "action", "data"}]
    assert links == ["/style.css", "/live.js"]
    assert "//" not in SCRIPT
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert not {"img", "iframe", "object", "form"} & set(parsed.tags)


def test_an_alarm_that_returned_is_gone_and_a_worse_one_takes_its_place() -> None:
    board, one = board_of()
    window = Window(machine="P-101", time_ns=NOW + 40 * MINUTE, samples={})
    one.take(window, None, 3.0, [alarm(change=AlarmChange.WORSENED, severity="D")])
    assert [a.severity for a in board.shown()[0].alarms] == ["D"]
    assert "\N{BLACK DIAMOND} D Act now" in Tags(render(board, NOW)).text
    one.take(window, None, 1.0, [alarm(change=AlarmChange.RETURNED_TO_NORMAL, severity="A")])
    assert board.shown()[0].zone == "A"
    assert "No open alarm." in Tags(render(board, NOW)).text


def test_a_machine_without_windows_and_one_with_a_faulty_sensor_say_so() -> None:
    board = Board("edge-7", "demo")
    now = [0.0]
    one = board.add(MachineBoard(machine(), days=1, clock_s=lambda: now[0]))
    assert "No data" in Tags(render(board, NOW)).text
    one.take(Window(machine="P-101", time_ns=NOW, samples={}, quality=Quality.SENSOR_FAULT), None, 0.0, [])
    text = Tags(render(board, NOW)).text
    assert "Sensor fault" in text
    assert "No data" not in text
    now[0] = 61.0
    assert "No data" in Tags(render(board, NOW)).text


def test_times_that_are_in_doubt_are_said_beside_the_machine() -> None:
    board = Board("edge-7", "demo")
    one = board.add(MachineBoard(machine(), days=1))
    for quality, said in ((Quality.SUSPECT_CLOCK, True), (Quality.GOOD, False)):
        one.take(Window(machine="P-101", time_ns=NOW, samples={}, quality=quality), None, 0.0, [])
        assert ("Times in doubt" in Tags(render(board, NOW)).text) is said


def test_open_alarms_and_trend_outlive_a_restart() -> None:
    _, one = board_of()
    state = one.state()
    again = MachineBoard(machine(), days=7)
    again.restore(state.get)
    assert again.shown().alarms == one.shown().alarms
    assert [(m.time_ns, m.deviation, m.zone) for m in again.shown().trend] == [
        (NOW // MINUTE * MINUTE + i * MINUTE, float(i), "C" if i >= 20 else "A") for i in range(30)
    ]
    changed = one.state()
    assert set(changed) == {"open/P-101"}  # the trend is written only where it changed


def test_a_minute_keeps_its_worst_and_the_ring_only_its_days() -> None:
    trend = Trend(1)
    state: dict[str, bytes] = {}
    for i in range(6 * 60 * 24 * 3):  # three days, every 10 s
        trend.add(i * MINUTE // 6, float(i % 6), math.nan, "C" if i % 6 == 2 else "A")
        if i % 300 == 0:
            state |= trend.state("trend/P")
    minutes = list(trend.minutes())
    assert 24 * 60 <= len(minutes) <= 25 * 60
    assert {(m.deviation, m.zone) for m in minutes} == {(5.0, "C")}
    state |= trend.state("trend/P")
    assert len(state) == 25
    assert max(len(v) for v in state.values()) < 1000
    again = Trend(1)
    again.restore("trend/P", state.get)
    assert [m.time_ns for m in again.minutes()] == [m.time_ns for m in minutes]


def test_a_clock_that_was_years_ahead_does_not_keep_its_rows_for_ever() -> None:
    trend = Trend(1)
    for hour in (10**6, *range(30)):
        trend.add(hour * 60 * MINUTE, 1.0, math.nan, "A")
    assert max(m.time_ns for m in trend.minutes()) == 29 * 60 * MINUTE


def test_state_that_is_not_understood_leaves_its_slot_out() -> None:
    _, one = board_of()
    state = one.state()
    slot = next(name for name in state if name.startswith("trend/"))
    state[slot] = state[slot][:-1]
    again = MachineBoard(machine(), days=7)
    again.restore(state.get)
    assert again.shown().alarms


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    made = PageServer(board_of()[0], "127.0.0.1:0")
    made.start()
    yield made
    made.close()


def ask(server: PageServer, path: str = "/", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.address.rstrip("/").rpartition(":")[2]), timeout=5)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


def test_the_page_is_served_with_a_strict_policy(server: PageServer) -> None:
    answer = ask(server)
    assert answer.status == 200
    assert answer.getheader("Content-Security-Policy", "").startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in answer.getheader("Content-Security-Policy", "")
    assert b"P-101" in answer.read()
    assert ask(server, "/live.js").getheader("Content-Type") == "text/javascript; charset=utf-8"
    assert ask(server, "/style.css").getheader("Content-Type") == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "method", "host", "status"),
    [
        ("/", "GET", "evil.example:80", 403),  # a name of another site that points here
        ("/", "GET", "localhost", 200),
        ("/", "GET", "[::1]:8090", 200),
        ("/../etc/passwd", "GET", "127.0.0.1", 404),
        ("/", "POST", "127.0.0.1", 501),
        ("/", "HEAD", "127.0.0.1", 200),
    ],
)
def test_only_the_page_is_answered_and_only_to_this_machine(
    server: PageServer, path: str, method: str, host: str, status: int
) -> None:
    assert ask(server, path, method, Host=host).status == status


def test_a_model_adds_how_long() -> None:
    board, one = board_of(alarms=False)
    said = Assessment(bundle="b-1", degradation=0.5, rul_s=(86_400.0, 3 * 86_400.0, 9 * 86_400.0))
    one.take(Window(machine="P-101", time_ns=NOW, samples={}), said, 3.0, [])
    assert "Remaining life likely 1 day to 9 days." in Tags(render(board, NOW)).text


def test_a_model_that_sees_no_trend_says_so() -> None:
    board, one = board_of(alarms=False)
    said = Assessment(bundle="b-1", degradation=0.1, rul_s=None, reason="no_trend")
    one.take(Window(machine="P-101", time_ns=NOW, samples={}), said, 3.0, [])
    text = Tags(render(board, NOW)).text
    assert "No estimate of the remaining life: the model sees no clear trend yet." in text
    assert "Remaining life likely" not in text
    one.take(Window(machine="P-101", time_ns=NOW + 1, samples={}), None, 3.0, [])
    assert "No estimate" not in Tags(render(board, NOW)).text
