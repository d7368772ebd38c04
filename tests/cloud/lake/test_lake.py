"""What is read is what was stored, now or at a commit, and damage is told, never read."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sqlalchemy import delete, insert, update

from cloud.catalogue import tables as t
from cloud.catalogue.lake import Segment
from cloud.lake.compaction import FAN_IN, LARGE, LARGE_ROWS, SMALLEST, Compactor, plan
from cloud.lake.gc import collect
from cloud.lake.objects import ObjectDamaged, made_ns, new_key
from cloud.lake.verify import verify
from cloud.ranges import Ranges
from cloud.wiring import Cloud
from models.errors import WrongUse
from tests.cloud.lake.filling import WIDE, fill
from tests.cloud.running import FailingStore

HOUR = 3600 * 10**9


def sequences(cloud: Cloud, **which) -> list[int]:
    return sorted(cloud.lake.rows("features", **which)["sequence"].to_pylist())


def problems(cloud: Cloud) -> list[str]:
    return list(verify(cloud.engine, cloud.store, "demo"))


# --- reading ----------------------------------------------------------------------------------------------------------


def test_an_empty_lake_has_no_rows_and_the_columns_that_every_kind_has(opened: Cloud):
    table = opened.lake.rows("features")
    assert (table.num_rows, opened.lake.head()) == (0, 0)
    assert table.column_names[:5] == ["site", "device", "epoch", "sequence", "machine"]


def test_rows_are_chosen_by_machine_site_and_time(opened: Cloud):
    fill(opened, 1, 10)
    fill(opened, 11, 10, machine="P-102")
    fill(opened, 1, 5, site="yard", device="edge-9")
    assert sequences(opened, machines=["P-102"]) == list(range(11, 21))
    assert sequences(opened, site="yard") == [1, 2, 3, 4, 5]
    assert sequences(opened, site="hall", since_ns=9 * 10**9, until_ns=12 * 10**9) == [9, 10, 11]
    assert sequences(opened, machines=[]) == []


def test_schemas_unite_and_what_a_row_never_had_is_null(opened: Cloud):
    fill(opened, 1, 2)
    fill(opened, 3, 1, columns=WIDE)
    table = opened.lake.rows("features").sort_by("sequence")
    assert table["rms@1"].to_pylist() == [1.0, 2.0, 3.0]
    assert table["envelope_bpfo@1"].to_pylist() == [None, None, 3.0]


def test_only_the_columns_that_were_asked_for_come(opened: Cloud):
    fill(opened, 1, 2)
    assert opened.lake.rows("features", columns=["peak@1"]).column_names[-2:] == ["source", "peak@1"]
    assert "rms@1" not in opened.lake.rows("features", columns=[]).column_names


def test_as_of_a_commit_the_lake_reads_as_it_was_also_after_compaction(opened: Cloud):
    heads = []
    for n in range(4):
        fill(opened, n * 10 + 1, 10)
        heads.append(opened.lake.head())
    Compactor("demo", opened.engine, opened.store).compact(fan_in=2)
    fill(opened, 41, 10)
    assert [len(sequences(opened, as_of=at)) for at in heads] == [10, 20, 30, 40]
    assert sequences(opened) == list(range(1, 51))


# --- compaction -------------------------------------------------------------------------------------------------------


def test_compaction_merges_segments_and_changes_no_row(opened: Cloud):
    for n in range(10):
        fill(opened, n * 5 + 1, 5, machine=f"P-{n % 3}")
    before = opened.lake.rows("features").sort_by("sequence")
    small = sum(s.bytes for s in opened.lake.segments())
    assert Compactor("demo", opened.engine, opened.store).compact() == 10
    (merged,) = opened.lake.segments()
    assert (merged.rows, merged.machines) == (50, ("P-0", "P-1", "P-2"))
    assert merged.bytes < small / 3
    assert opened.lake.rows("features").sort_by("sequence").equals(before)
    assert problems(opened) == []


def test_a_compaction_that_another_one_overtook_changes_nothing_and_leaves_no_object(opened: Cloud):
    for n in range(FAN_IN):
        fill(opened, n * 5 + 1, 5)
    both = threading.Barrier(2)
    stores = [FailingStore(opened.store) for _ in range(2)]
    for store in stores:
        store.after_put = lambda: both.wait(10)
    with ThreadPoolExecutor(2) as pool:
        merged = list(pool.map(lambda store: Compactor("demo", opened.engine, store).compact(), stores))
    assert sorted(merged) == [0, FAN_IN]
    assert sequences(opened) == list(range(1, 41))
    assert len(list(opened.store.list("lake/"))) == FAN_IN + 1
    assert problems(opened) == []


def segments(count: int, size: int, **fields: object) -> list[Segment]:
    base = {
        "site": "hall",
        "kind": "features",
        "schema": "",
        "rows": 1,
        "sha256": "",
        "first_time_ns": 0,
        "last_time_ns": 0,
        "machines": (),
    }
    return [Segment(**{**base, **fields}, path=f"{fields}{size}{n}", bytes=size, added=n) for n in range(count)]


def test_only_segments_of_one_kind_and_about_one_size_are_merged():
    assert [len(m) for m in plan(segments(FAN_IN, 100))] == [FAN_IN]
    assert plan(segments(FAN_IN - 1, 100)) == []
    assert plan(segments(5, 100) + segments(5, 100, kind="health")) == []
    assert plan(segments(5, 100) + segments(5, 100, site="yard")) == []
    assert plan(segments(5, 100) + segments(5, SMALLEST + 1)) == []
    assert plan(segments(50, LARGE)) == []


def test_a_merge_is_bounded_in_bytes_and_in_rows():
    merges = plan(segments(40, LARGE - 1))
    assert max(sum(s.bytes for s in m) for m in merges) < 4 * LARGE
    merges = plan(segments(40, 100, rows=LARGE_ROWS - 1))
    assert max(sum(s.rows for s in m) for m in merges) < 2 * LARGE_ROWS
    assert plan(segments(40, 100, rows=LARGE_ROWS)) == []


def test_a_row_is_rewritten_a_few_times_however_long_the_lake_grows():
    """Without tiers, every merge would rewrite the whole: the cost of a day would grow with its square."""
    lake: list[Segment] = []
    written = 0
    for n in range(2000):
        lake += segments(1, 10_000, schema="", site="hall")
        lake[-1] = Segment(**{**{f: getattr(lake[-1], f) for f in Segment.__slots__}, "path": f"p{n}", "added": n})
        for merge in plan(lake):
            size = sum(s.bytes for s in merge)
            written += size
            lake = [s for s in lake if s not in merge]
            lake += segments(1, size, rows=n)
    assert written / (2000 * 10_000) < 4
    assert len(lake) < 40


# --- garbage ----------------------------------------------------------------------------------------------------------


def test_what_compaction_replaced_is_kept_for_a_while_then_deleted_and_as_of_says_so(opened: Cloud):
    for n in range(FAN_IN):
        fill(opened, n * 5 + 1, 5)
    before = opened.lake.head()
    Compactor("demo", opened.engine, opened.store).compact()
    assert collect(opened.engine, opened.store, "demo", older_than_ns=HOUR).replaced == 0
    assert len(sequences(opened, as_of=before)) == 40
    done = collect(opened.engine, opened.store, "demo", older_than_ns=0)
    assert done.replaced == FAN_IN
    assert len(list(opened.store.list("lake/"))) == 1
    assert sequences(opened) == list(range(1, 41))
    with pytest.raises(WrongUse, match="can no longer be read"):
        opened.lake.rows("features", as_of=before)
    assert sequences(opened, as_of=opened.lake.head()) == list(range(1, 41))


def test_an_object_without_a_commit_is_deleted_only_when_no_commit_can_be_under_way(opened: Cloud):
    fill(opened, 1, 5)
    young, old = new_key("demo", "hall", "features", time.time_ns()), new_key("demo", "hall", "features", 1)
    other = "lake/enterprise=other/site=hall/kind=features/date=1970-01-01/0000000000000001-00000000.parquet"
    for key in (young, old, other, "registry/demo/metadata/1.root.json"):
        opened.store.put(key, b"x")
    assert collect(opened.engine, opened.store, "demo", older_than_ns=0).orphans == 1
    assert set(opened.store.list("")) >= {young, other, "registry/demo/metadata/1.root.json"}
    assert sequences(opened) == [1, 2, 3, 4, 5]


def test_a_key_tells_when_it_was_made():
    assert made_ns(new_key("demo", "hall", "features", 1_790_000_000_123_456_789)) == 1_790_000_000_123_456_789
    assert made_ns("lake/enterprise=demo/a.parquet") is None


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_a_flipped_byte_is_told_and_never_read(opened: Cloud):
    path = fill(opened, 1, 10)
    data = bytearray(opened.store.get(path))
    data[len(data) // 2] ^= 1
    opened.store.put(path, bytes(data))
    with pytest.raises(ObjectDamaged, match="not those that were stored"):
        opened.lake.rows("features")
    assert len(problems(opened)) == 1
    assert path in problems(opened)[0]


def test_a_missing_object_is_told(opened: Cloud):
    opened.store.delete(fill(opened, 1, 10))
    with pytest.raises(ObjectDamaged, match="missing"):
        opened.lake.rows("features")
    assert len(problems(opened)) == 1


def test_a_record_that_is_stored_twice_is_told(opened: Cloud):
    fill(opened, 1, 10)
    with opened.engine.begin() as connection:
        connection.execute(update(t.cursor).values(ranges=Ranges().encode()))
    fill(opened, 6, 5)
    assert any("5 records are stored more than once, the first is 6" in p for p in problems(opened))


def test_a_record_of_the_cursor_that_is_nowhere_is_told(opened: Cloud):
    fill(opened, 1, 10)
    with opened.engine.begin() as connection:
        connection.execute(update(t.cursor).values(ranges=Ranges([(1, 12)]).encode()))
    assert problems(opened) == [
        "hall/edge-1 epoch 7: 2 records of its cursor are nowhere, 0 are stored beyond its cursor"
    ]


def test_rows_without_a_cursor_are_told(opened: Cloud):
    fill(opened, 1, 10)
    with opened.engine.begin() as connection:
        connection.execute(delete(t.cursor))
    assert problems(opened) == ["hall/edge-1 epoch 7: 10 records without a cursor"]


def test_the_ledger_tells_what_is_stored_given_up_and_missing(opened: Cloud):
    fill(opened, 1, 10)
    where = {"enterprise": "demo", "site": "hall", "device": "edge-1", "epoch": 7}
    with opened.engine.begin() as connection:
        connection.execute(update(t.cursor).values(device_head=20))
        connection.execute(insert(t.gap).values(**where, first=11, last=13, reason="disk full"))
    (book,) = opened.lake.ledger()
    assert (list(book.stored), book.gaps, book.device_head) == ([(1, 10)], ((11, 13, "disk full"),), 20)
    assert list(book.missing) == [(14, 20)]
    assert opened.lake.ledger(site="yard") == []


def test_values_keep_their_order_through_a_merge_of_lists(opened: Cloud):
    from cloud.gateway.records import Block, Kind, Piece, Stream
    from cloud.gateway.segments import Group, encode

    def piece(width: int, first: int) -> Piece:
        block = Block(
            stream=Stream("hall", "edge-1", 7),
            sequence=np.arange(first, first + 2),
            received_ns=np.zeros(2, np.int64),
            kind=Kind.SPECTRUM,
            replay=True,
            schema=None,
            schema_id=0,
            machines=("P-101",),
            channels=("x",),
            point=np.zeros(2, np.uint16),
            event_time_ns=np.zeros(2, np.int64),
            quality=np.zeros(2, np.uint8),
            values=np.arange(2 * width, dtype=np.float32).reshape(2, width),
            step=1.0,
            scale=1.0,
            source="",
            gaps=(),
        )
        return Piece(block, np.array([1]))

    import io

    import pyarrow.parquet as pq

    made = encode(Group("hall", "spectrum", ""), [piece(3, 1), piece(2, 9)])
    table = pq.read_table(io.BytesIO(made.data))
    assert table["values"].to_pylist() == [[3.0, 4.0, 5.0], [2.0, 3.0]]
    assert table["sequence"].to_pylist() == [2, 10]
