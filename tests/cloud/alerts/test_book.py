"""The book on a real SQLite catalogue: idempotence, races, what the device is told."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from cloud.alerts.book import AlertBook
from cloud.alerts.types import Change, Evidence, IncomingAlert, Outcome, State
from cloud.catalogue.engine import open_engine
from cloud.catalogue.tables import alert, alert_event, alert_taken, command, maintenance, metadata
from models.errors import Unavailable, WrongUse

SAID = IncomingAlert(
    key="k1",
    change=Change.RAISED,
    machine="P-101",
    channel="x",
    event_time_ns=5_000,
    severity="C",
    confidence="quite_sure",
    part="bearing",
    fault="outer_race",
    source="baseline",
    score=9.0,
    threshold=6.0,
    remaining_life_s=(3.0, 5.0, 9.0),
    evidence=(Evidence(feature="rms@1", channel="x", unit="g", value=2.0, baseline=0.5, limit=1.0),),
)


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def book(engine):
    ticks = iter(range(1_000_000, 2_000_000))
    return AlertBook(engine, "demo", clock=lambda: next(ticks))


def _count(engine, table):
    with engine.connect() as c:
        return c.execute(select(func.count()).select_from(table)).scalar_one()


def _take(book, sequence, change=Change.RAISED, *, device="edge-1", **said):
    return book.take("hall", device, 1, sequence, dataclasses.replace(SAID, change=change, **said))


def test_a_raise_that_is_repeated_answers_the_same_alert_and_adds_nothing(book, engine):
    first = _take(book, 1)
    assert _take(book, 1) == first
    assert [_count(engine, t) for t in (alert, alert_event, alert_taken)] == [1, 1, 1]


def test_an_alert_comes_back_as_it_was_said(book):
    said = book.get(_take(book, 1)).alert.said
    assert said == SAID


def test_changes_of_one_alarm_are_one_alert_with_a_timeline(book, engine):
    number = _take(book, 1)
    assert _take(book, 2, Change.WORSENED, severity="D") == number
    assert _take(book, 3, Change.RETURNED, severity="D") == number
    detail = book.get(number)
    assert [e.what for e in detail.events] == ["raised", "worsened", "returned"]
    assert (detail.alert.severity, detail.alert.active, detail.alert.state) == ("D", False, State.NEW)
    assert _count(engine, alert) == 1


def test_changes_that_arrive_in_the_wrong_order_end_in_the_newest_state(book):
    number = _take(book, 3, Change.RETURNED, event_time_ns=9_000)
    _take(book, 1, Change.RAISED, event_time_ns=7_000)
    detail = book.get(number)
    assert not detail.alert.active
    assert detail.alert.said.change is Change.RETURNED
    assert detail.alert.raised_ns == 7_000


def test_the_same_key_of_two_devices_is_two_alerts(book):
    assert _take(book, 1) != _take(book, 1, device="edge-2")


def test_an_enterprise_does_not_see_the_alerts_of_another(book, engine):
    number = _take(book, 1)
    other = AlertBook(engine, "other")
    assert other.list(states=None) == []
    with pytest.raises(WrongUse, match="there is no alert"):
        other.acknowledge(number, "eve")


def test_a_figure_that_is_not_finite_does_not_lose_the_alert(book):
    number = _take(book, 1, score=float("nan"))
    assert book.get(number).alert.said.score is None


def test_many_gateways_that_take_the_same_changes_at_once_make_one_alert(book, engine):
    with ThreadPoolExecutor(8) as pool:
        numbers = set(pool.map(lambda i: _take(book, 1 + i % 4), range(32)))
    assert len(numbers) == 1
    assert [_count(engine, t) for t in (alert, alert_event, alert_taken)] == [1, 4, 4]


def test_acknowledging_tells_the_device_once(book, engine):
    number = _take(book, 1)
    assert book.acknowledge(number, "Ana").state is State.ACKNOWLEDGED
    book.acknowledge(number, "Ben")
    with engine.connect() as c:
        rows = c.execute(select(command.c.device, command.c.kind, command.c.alert_key)).all()
    assert [tuple(r) for r in rows] == [("edge-1", "acknowledge", "k1")]
    assert [e.who for e in book.get(number).events] == ["edge-1", "Ana"]


def test_a_tap_that_is_sent_twice_counts_once(book):
    number = _take(book, 1)
    for _ in range(2):
        book.resolve(number, "Ana", Outcome.CONFIRMED, note="pitting", idempotency_key="tap-1")
    assert [e.what for e in book.get(number).events] == ["raised", "resolved"]


def test_people_who_tap_at_the_same_time_leave_one_acknowledgement(book, engine):
    number = _take(book, 1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: book.acknowledge(number, f"p{i}"), range(16)))
    assert [e.what for e in book.get(number).events] == ["raised", "acknowledged"]
    assert _count(engine, command) == 1


def test_resolving_keeps_the_outcome_as_label_with_the_persons_words(book):
    number = _take(book, 1)
    closed = book.resolve(number, "Ana", Outcome.NOT_A_FAULT, note="a truck passed")
    assert (closed.state, closed.outcome) == (State.RESOLVED, Outcome.NOT_A_FAULT)
    assert book.get(number).events[-1].note == "not_a_fault: a truck passed"
    assert book.list() == []
    assert [a.id for a in book.list(states=None)] == [number]


def test_a_replaced_part_starts_a_new_baseline_and_enters_the_history_once(book, engine):
    number = _take(book, 1, replay=True)
    book.resolve(number, "Ana", Outcome.PART_REPLACED)
    book.resolve(number, "Ana", Outcome.PART_REPLACED, note="both bearings")
    with engine.connect() as c:
        kinds = c.execute(select(command.c.kind).order_by(command.c.id)).scalars().all()
        history = c.execute(select(maintenance.c.machine, maintenance.c.event, maintenance.c.time_ns)).all()
    assert kinds == ["acknowledge", "new_baseline"]
    assert [tuple(r) for r in history] == [("P-101", "replaced", 5_000)]


def test_a_resolved_alert_that_worsens_is_listed_again(book):
    number = _take(book, 1)
    book.resolve(number, "Ana", Outcome.NOT_A_FAULT)
    _take(book, 2, Change.WORSENED, severity="D")
    assert [(a.id, a.state, a.outcome) for a in book.list()] == [(number, State.NEW, None)]


def test_pages_of_the_list_follow_each_other_without_overlap(book):
    numbers = [_take(book, i, key=f"k{i}") for i in range(1, 6)]
    first = book.list(limit=3)
    second = book.list(limit=3, before=first[-1].id)
    assert [a.id for a in first + second] == numbers[::-1]


def test_a_catalogue_that_is_away_is_said_to_be_away(tmp_path):
    book = AlertBook(open_engine(f"sqlite:///{tmp_path}/missing/catalogue.sqlite"), "demo")
    with pytest.raises(Unavailable):
        book.list()
    with pytest.raises(Unavailable):
        book.take("hall", "edge-1", 1, 1, SAID)
