"""What is missing and why; what is let go, and that nothing else is."""

from __future__ import annotations

import json
import time

from click.testing import CliRunner

from cloud.catalogue.access import writing
from cloud.catalogue.ingest import LOST, CursorKey, DeviceFacts, greet
from cloud.lake.compaction import Compactor
from cloud.lake.gaps import explain, read
from cloud.lake.gc import collect
from cloud.lake.ledger import DeviceLedger
from cloud.lake.retention import retain
from cloud.lake.verify import verify
from cloud.ranges import Ranges
from cloud.wiring import Cloud
from forewarn.commands.lake import lake
from tests.cloud.lake.filling import fill

DAY = 24 * 3600 * 10**9


def book(epoch: int = 7, **changes: object) -> DeviceLedger:
    fields: dict[str, object] = {
        "site": "hall",
        "device": "edge-1",
        "epoch": epoch,
        "stored": Ranges([(1, 10)]),
        "alerts": Ranges([(12, 12)]),
        "gaps": ((15, 20, "disk full"), (18, 21, "disk full")),
        "device_head": 30,
        "quarantined": 0,
    }
    return DeviceLedger(**{**fields, **changes})


def told(*books: DeviceLedger, seen_ns: int | None = 0, now_ns: int = 1) -> list[tuple[int, int, bool]]:
    return [(a.first, a.last, a.final) for a in explain(books, {("hall", "edge-1"): seen_ns}, now_ns)]


def test_each_missing_range_is_told_once_and_whether_it_can_still_come():
    open_ends = [(11, 11, False), (13, 14, False), (15, 20, True), (21, 21, True), (22, 30, False)]
    assert told(book()) == open_ends
    assert told(book(gaps=((9, 9, "x"),), device_head=10)) == []  # it came all the same


def test_the_reason_tells_a_silent_device_from_records_on_their_way_and_from_an_epoch_that_is_over():
    def reasons(*books: DeviceLedger, now_ns: int) -> set[str]:
        return {a.reason for a in explain(books, {("hall", "edge-1"): 0}, now_ns) if a.first == 11}

    assert reasons(book(), now_ns=1) == {"on their way"}
    assert "silent for 2.0 h" in reasons(book(), now_ns=2 * 3600 * 10**9).pop()
    over = told(book(epoch=7), book(epoch=9, stored=Ranges(), alerts=Ranges(), gaps=(), device_head=0))
    assert (11, 11, True) in over


def test_what_a_device_forgot_because_it_was_stored_once_and_is_here_no_more_is_a_gap(opened: Cloud):
    fill(opened, 1, 10)
    facts = DeviceFacts(head=40, software_version="1", machines=[], kept=Ranges([(31, 40)]))
    for _ in range(2):
        with writing(opened.engine) as connection:
            greet(connection, CursorKey("demo", "hall", "edge-1", 7), facts, 5)
    ((lost, held)) = read(opened.engine, "demo", now_ns=6)
    assert (lost.first, lost.last, lost.reason, lost.final) == (11, 30, LOST, True)
    assert (held.first, held.last, held.reason) == (31, 40, "on their way")


def test_gaps_are_told_on_the_command_line(opened: Cloud):
    fill(opened, 1, 10)
    with writing(opened.engine) as connection:
        facts = DeviceFacts(head=14, software_version="1", machines=[])
        greet(connection, CursorKey("demo", "hall", "edge-1", 7), facts, time.time_ns())
    said = CliRunner().invoke(lake, ["gaps", "--json", "--data", str(opened.data)], catch_exceptions=False)
    (gap,) = json.loads(said.output.splitlines()[-1])
    assert (gap["first"], gap["last"], gap["records"], gap["reason"]) == (11, 14, 4, "on their way")
    said = CliRunner().invoke(lake, ["gaps", "--data", str(opened.data)], catch_exceptions=False)
    assert "hall/edge-1 epoch 7: 11-14, 4 records are missing: on their way" in said.output


def test_retention_lets_old_rows_go_in_one_commit_and_nothing_that_is_referenced(opened: Cloud):
    now = time.time_ns()
    old = [fill(opened, 1, 10, now_ns=now - 40 * DAY), fill(opened, 11, 10, now_ns=now - 35 * DAY)]
    young = fill(opened, 21, 10, now_ns=now - 5 * DAY)
    before = opened.lake.head()
    done = retain(opened.engine, opened.store, "demo", older_than_ns=30 * DAY)
    assert (done.segments, done.rows, done.damaged, done.commit) == (2, 20, 0, before + 1)
    assert [s.path for s in opened.lake.segments()] == [young]
    assert opened.lake.rows("features", as_of=before).num_rows == 30
    assert list(verify(opened.engine, opened.store, "demo")) == []
    assert retain(opened.engine, opened.store, "demo", older_than_ns=30 * DAY).commit == 0
    collect(opened.engine, opened.store, "demo", older_than_ns=DAY)
    assert set(opened.store.list("lake/")) == {*old, young}
    collect(opened.engine, opened.store, "demo", older_than_ns=-DAY)
    assert set(opened.store.list("lake/")) == {young}
    assert list(opened.lake.ledger()[0].stored) == [(1, 30)]  # a device that asks never sends them again
    opened.store.delete(young)
    assert list(verify(opened.engine, opened.store, "demo"))


def test_a_merge_of_old_and_new_rows_stays_until_its_newest_is_old_and_no_longer_for_being_merged(opened: Cloud):
    now = time.time_ns()
    for n, age in enumerate((40, 20)):
        fill(opened, 1 + 10 * n, 10, now_ns=now - age * DAY)
    assert Compactor("demo", opened.engine, opened.store).compact(fan_in=2) == 2
    assert retain(opened.engine, opened.store, "demo", older_than_ns=30 * DAY).segments == 0
    done = retain(opened.engine, opened.store, "demo", older_than_ns=15 * DAY)
    assert (done.segments, done.rows) == (1, 20)


def test_a_damaged_segment_is_not_let_go_unread(opened: Cloud):
    path = fill(opened, 1, 10, now_ns=time.time_ns() - 40 * DAY)
    opened.store.put(path, b"damaged")
    call = ["retain", "--days", "30", "--data", str(opened.data)]
    said = CliRunner().invoke(lake, call, catch_exceptions=False)
    assert (said.exit_code, len(opened.lake.segments())) == (1, 1)
