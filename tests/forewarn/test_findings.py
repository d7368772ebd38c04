"""What a crew's verdict on an alarm says of the windows behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.alerts.book import AlertBook
from cloud.alerts.types import Change, IncomingAlert, Outcome
from cloud.catalogue import maintenance
from cloud.catalogue.access import writing
from cloud.catalogue.maintenance import MaintenanceRow
from cloud.quality import SUSPECT_CLOCK
from cloud.wiring import Cloud, open_cloud
from forewarn.findings import read_labels
from training.labels import FAULTY, HEALTHY, INSPECTED_GOOD, SENSOR, Maintenance, Verdict

NOW = 9_000


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    opened = open_cloud(tmp_path)
    yield opened
    opened.close()


def said(change: Change, time_ns: int, **other: object) -> IncomingAlert:
    fields = {"severity": "C", "confidence": "sure", "part": "bearing", "fault": "outer_race", "source": "baseline"}
    fields |= {"score": None, "threshold": None, "key": "one", "machine": "M", "channel": "x"} | other
    return IncomingAlert(change=change, event_time_ns=time_ns, **fields)  # type: ignore[arg-type]


def resolved(cloud: Cloud, outcome: Outcome, *changes: IncomingAlert) -> list[Verdict]:
    book = AlertBook(cloud.engine, cloud.enterprise, clock=lambda: NOW)
    for sequence, change in enumerate(changes, 1):
        number = book.take("plant", f"edge-{change.key}", 1, sequence, change)
    book.resolve(number, "Ann", outcome)
    return list(read_labels(cloud).verdicts)


@pytest.mark.parametrize(
    ("outcome", "finding"),
    [
        (Outcome.CONFIRMED, FAULTY),
        (Outcome.PART_REPLACED, FAULTY),
        (Outcome.NOT_A_FAULT, HEALTHY),
        (Outcome.PROCESS_CHANGE, HEALTHY),
        (Outcome.SENSOR_FAULT, SENSOR),
    ],
)
def test_a_verdict_is_of_the_windows_from_the_first_change_to_the_last(
    cloud: Cloud, outcome: Outcome, finding: str
) -> None:
    found = resolved(cloud, outcome, said(Change.RAISED, 100), said(Change.RETURNED, 300))
    assert found == [Verdict(100, 300, "M", finding, "plant")]


def test_what_still_stands_is_judged_as_far_as_the_verdict_and_a_recording_as_far_as_it_went(cloud: Cloud) -> None:
    assert resolved(cloud, Outcome.NOT_A_FAULT, said(Change.RAISED, 100)) == [Verdict(100, NOW, "M", HEALTHY, "plant")]
    replayed = resolved(cloud, Outcome.NOT_A_FAULT, said(Change.RAISED, 200, key="two", replay=True))
    assert replayed[1] == Verdict(200, 200, "M", HEALTHY, "plant")


def test_an_alarm_about_a_sensor_says_nothing_of_the_machine(cloud: Cloud) -> None:
    assert resolved(cloud, Outcome.NOT_A_FAULT, said(Change.RAISED, 100, part="sensor")) == []
    (found,) = resolved(cloud, Outcome.CONFIRMED, said(Change.RAISED, 100, part="sensor", key="two", replay=True))
    assert found.finding == SENSOR


def test_an_alarm_of_a_doubtful_clock_labels_nothing(cloud: Cloud) -> None:
    assert resolved(cloud, Outcome.CONFIRMED, said(Change.RAISED, 100, quality=SUSPECT_CLOCK)) == []


def test_the_maintenance_history_comes_with_the_verdicts(cloud: Cloud) -> None:
    with writing(cloud.engine) as c:
        row = MaintenanceRow(site="plant", machine="M", time_ns=50, event=INSPECTED_GOOD)
        maintenance.add(c, cloud.enterprise, [row])
    assert read_labels(cloud).history == [Maintenance(50, "M", INSPECTED_GOOD, "plant")]
