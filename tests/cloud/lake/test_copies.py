"""Copies of what devices learned: which is a machine's newest, what a reader of another tool finds, what is let go."""

from __future__ import annotations

import time

import duckdb
import pandas
import polars

from cloud.lake.compaction import Compactor
from cloud.lake.copies import newest
from cloud.lake.gc import collect
from cloud.lake.retention import retain
from cloud.lake.verify import verify
from cloud.wiring import Cloud
from tests.cloud.lake.filling import fill, fill_copy

NOW_S = int(time.time())
DAY_S = 86_400


def newest_of(cloud: Cloud, *machines: str, device: str = "edge-1", **after_s: int) -> dict[str, bytes]:
    after = {name.replace("_", "-"): s * 10**9 for name, s in after_s.items()}
    return {n: c.data for n, c in newest(cloud.lake, "hall", device, machines or None, after_ns=after).items()}


def test_the_newest_copy_is_the_one_that_was_made_last_whatever_came_first_or_has_which_number(opened: Cloud):
    fill_copy(opened, 9, made_s=NOW_S - 10, received_s=NOW_S - 10)  # live ...
    fill_copy(opened, 3, made_s=NOW_S - 3 * DAY_S, received_s=NOW_S - 5)  # ... overtook its backlog
    fill_copy(opened, 2, made_s=NOW_S - 9, machine="P-102")
    fill_copy(opened, 1, made_s=NOW_S - 8, device="edge-2", epoch=3)
    assert newest_of(opened, "P-101", "P-102", "P-103") == {
        "P-101": f"edge-1 P-101 {NOW_S - 10} 9".encode(),
        "P-102": f"edge-1 P-102 {NOW_S - 9} 2".encode(),
    }
    assert newest_of(opened, device="edge-2") == {"P-101": f"edge-2 P-101 {NOW_S - 8} 1".encode()}
    assert newest_of(opened, device="edge-3") == {}


def test_a_clock_that_ran_a_year_ahead_does_not_hide_what_came_after_it(opened: Cloud):
    fill_copy(opened, 1, made_s=NOW_S + 365 * DAY_S, received_s=NOW_S - DAY_S)
    fill_copy(opened, 2, made_s=NOW_S - 10)
    assert newest_of(opened, "P-101")["P-101"].endswith(b" 2")
    Compactor("demo", opened.engine, opened.store).compact(fan_in=2)  # side by side
    assert newest_of(opened, "P-101")["P-101"].endswith(b" 2")


def test_what_was_made_before_a_repair_is_not_found(opened: Cloud):
    fill_copy(opened, 1, made_s=NOW_S - 100)
    assert newest_of(opened, "P-101", P_101=NOW_S - 101)
    assert newest_of(opened, "P-101", P_101=NOW_S - 100) == {}
    fill_copy(opened, 2, made_s=NOW_S - 50)
    assert newest_of(opened, "P-101", P_101=NOW_S - 100)["P-101"].endswith(b" 2")


def test_copies_read_no_further_back_than_they_must(opened: Cloud):
    old = fill_copy(opened, 1, made_s=NOW_S - DAY_S)
    fill_copy(opened, 2, made_s=NOW_S - 10)
    opened.store.delete(old)
    assert newest_of(opened, "P-101")["P-101"].endswith(b" 2")


def test_retention_never_takes_a_machines_newest_copy(opened: Cloud):
    for n in range(1, 4):
        fill_copy(opened, n, made_s=NOW_S - (40 - n) * DAY_S)
    fill_copy(opened, 4, made_s=NOW_S - 39 * DAY_S, machine="P-102")
    fill(opened, 5, 10, now_ns=(NOW_S - 39 * DAY_S) * 10**9)
    done = retain(opened.engine, opened.store, "demo", older_than_ns=30 * DAY_S * 10**9)
    assert (done.segments, done.rows) == (3, 12)  # the features, and two copies that a newer one follows
    assert {m: data[-1:] for m, data in newest_of(opened).items()} == {"P-101": b"3", "P-102": b"4"}
    assert retain(opened.engine, opened.store, "demo", older_than_ns=DAY_S * 10**9).segments == 0
    assert list(verify(opened.engine, opened.store, "demo")) == []


def test_other_tools_open_copies_and_compaction_keeps_their_bytes(opened: Cloud):
    for n in range(1, 4):
        fill_copy(opened, n, made_s=NOW_S - n)
    Compactor("demo", opened.engine, opened.store).compact(fan_in=2)
    collect(opened.engine, opened.store, "demo", older_than_ns=-1)
    folder = opened.data / "store" / "lake" / "enterprise=demo"
    files = f"{folder}/*/kind=state/*/*.parquet"
    wanted = sorted(f"edge-1 P-101 {NOW_S - n} {n}".encode() for n in range(1, 4))
    assert sorted(s for (s,) in duckdb.sql(f"SELECT state FROM read_parquet('{files}')").fetchall()) == wanted
    assert sorted(polars.read_parquet(files)["state"].to_list()) == wanted
    assert sorted(pandas.read_parquet(folder, filters=[("kind", "=", "state")])["state"]) == wanted
    assert len(opened.lake.segments("state")) == 1
