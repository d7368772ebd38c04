from __future__ import annotations

import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge import wire
from edge.outbox import Outbox, Parcel, StoreLock, digest_of
from edge.types import Kind
from models.errors import Unavailable, WrongUse

Open = Callable[..., Outbox]
Make = Callable[..., Parcel]
ALL = (0, 1 << 62, 1 << 30)


def test_what_was_appended_is_there_after_a_restart_with_the_same_numbers(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    kept = outbox.append([features(3), features(2, fill=2)], {"judge": b"after five"})
    outbox.close()
    again = open_outbox()
    assert [(e.first, e.last) for e in again.read(*ALL)] == [(1, 3), (4, 5)]
    assert (again.epoch, again.head, kept.first) == (kept.epoch, 5, 1)
    assert again.state("judge") == b"after five"
    assert again.append([features()]).first == 6


def test_state_and_parcels_are_kept_together_or_not_at_all(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features()], {"judge": b"one"})
    outbox._store._database.writer = _Failing("INSERT OR REPLACE INTO state", outbox._store._database.writer)  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        outbox.append([features()], {"judge": b"two"})
    assert outbox.state("judge") == b"one"
    assert outbox.head == 1
    assert outbox.kept_ranges() == [(1, 1)]


def test_only_whole_parcels_leave_and_parts_add_up(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(10), features(10)])
    outbox.stored(outbox.epoch, [(1, 6)])
    assert outbox.kept_ranges() == [(1, 20)]
    outbox.stored(outbox.epoch, [(7, 14)])
    assert outbox.kept_ranges() == [(11, 20)]
    outbox.stored(outbox.epoch, [(15, 20)])
    assert outbox.kept_ranges() == []
    assert outbox.kept_bytes == 0


def test_a_parcel_that_is_split_keeps_its_numbers_also_over_a_restart_and_parts_that_were_stored_count(
    open_outbox: Open, features: Make
) -> None:
    outbox = open_outbox()
    outbox.append([features(10), features(10, fill=2), features(10, fill=3)])
    outbox.stored(outbox.epoch, [(11, 14)])
    entry = outbox.read(*ALL)[1]
    before = outbox.kept_bytes
    outbox.split(entry, [features(4, fill=4), features(6, fill=5)])
    assert [(e.first, e.last) for e in outbox.read(*ALL)] == [(1, 10), (15, 20), (21, 30)]
    assert outbox.mark(20) == digest_of(features(6, fill=5).blob)
    outbox.split(entry, [features(4, fill=4), features(6, fill=5)])  # is another one by now
    outbox.stored(outbox.epoch, [(15, 20)])
    kept = outbox.kept_bytes
    assert kept < before
    outbox.close()
    again = open_outbox()
    assert ([(e.first, e.last) for e in again.read(*ALL)], again.head) == ([(1, 10), (21, 30)], 30)
    assert again.kept_bytes == kept


def test_what_another_epoch_stored_deletes_nothing(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(5)])
    outbox.stored(outbox.epoch - 1, [(1, 5)])
    assert outbox.kept_ranges() == [(1, 5)]


def test_alerts_are_read_by_themselves(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(2), features(kind=Kind.ALERT), features()])
    assert [e.first for e in outbox.read_alerts()] == [3]
    assert [e.first for e in outbox.read(*ALL)] == [1, 4]


def test_reading_gives_at_least_one_entry_and_then_stops_at_the_limit(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(size=1000) for _ in range(5)])
    assert [e.first for e in outbox.read(0, 1 << 62, 1)] == [1]
    assert [e.first for e in outbox.read(1, 5, 2300)] == [2, 3]


def test_the_mark_of_the_highest_stored_record_survives_its_deletion(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(2, fill=7), features(2, fill=8), features(kind=Kind.ALERT)])
    outbox.stored(outbox.epoch, [(3, 4)])
    outbox.stored(outbox.epoch, [(1, 2), (5, 5)])  # older ones and alerts do not move it
    outbox.close()
    again = open_outbox()
    assert again.stored_head == 4
    assert again.mark(4) == digest_of(bytes([8]) * 200)
    assert again.mark(2) is None


def test_a_new_epoch_numbers_what_is_kept_from_one_and_keeps_its_order(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(3, fill=i) for i in range(4)])
    outbox.stored(outbox.epoch, [(1, 3), (7, 9)])
    old = outbox.epoch
    new = outbox.new_epoch("a test")
    assert new > old
    assert [(e.first, e.last, e.blob[0]) for e in outbox.read(*ALL)] == [(1, 3, 1), (4, 6, 3)]
    assert (outbox.head, outbox.stored_head, outbox.mark(9)) == (6, 0, None)
    assert outbox.append([features()]).first == 7


def test_over_the_quota_the_oldest_ordinary_records_go_first_and_are_reported(
    open_outbox: Open, features: Make
) -> None:
    outbox = open_outbox(quota_bytes=20_000)
    outbox.append([features(kind=Kind.ALERT, size=900), features(kind=Kind.WAVEFORM, size=900)])
    for _ in range(30):
        outbox.append([features(size=900)])
    entries = outbox.read(*ALL)
    kinds = {e.kind for e in entries}
    assert {Kind.WAVEFORM, Kind.GAP} <= kinds
    assert [e.first for e in outbox.read_alerts()] == [1]
    assert outbox.kept_bytes <= 20_000
    reported = {
        n
        for e in entries
        if e.kind is Kind.GAP
        for part in e.blob.decode().split(":")[-1].split(",")
        for n in range(int(part.split("-")[0]), int(part.split("-")[1]) + 1)
    }
    present = {n for a, b in outbox.kept_ranges() for n in range(a, b + 1)}
    assert reported | present == set(range(1, outbox.head + 1))
    assert not reported & present


def test_a_dropped_record_that_the_cloud_may_have_keeps_its_mark(open_outbox: Open, features: Make) -> None:
    """Its `stored` was lost, and the quota dropped it: the cloud's head still names it, and no new epoch is due."""
    outbox = open_outbox(quota_bytes=5_000)
    outbox.append([features(size=900)])
    outbox.read(*ALL)
    for _ in range(6):
        outbox.append([features(size=900)])
    assert (1, 1) not in outbox.kept_ranges()
    assert outbox.mark(1) == digest_of(bytes([1]) * 900)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outbox, bool], None]:
    """Fill the disk under an outbox, or empty it: SQLite's page limit gives the same error (SQLITE_FULL)."""

    def fill(outbox: Outbox, full: bool) -> None:
        monkeypatch.setattr(outbox._store._reserve, "refill", lambda: not full)
        outbox._store._database.limit_to_present_size(full)

    return fill


def test_a_full_disk_drops_by_policy_and_resumes_without_a_restart(
    open_outbox: Open, features: Make, full_disk: Callable[[Outbox, bool], None]
) -> None:
    outbox = open_outbox()
    for _ in range(50):
        outbox.append([features(size=3000)])
    full_disk(outbox, True)
    for _ in range(50):
        outbox.append([features(size=3000)])
    gaps = [e for e in outbox.read(*ALL) if e.kind is Kind.GAP]
    assert gaps
    assert gaps[0].blob.startswith(b"dropped by the device: its store was full:1-")
    assert outbox.kept_bytes < 60 * 3100
    full_disk(outbox, False)
    for _ in range(50):
        outbox.append([features(size=3000)])
    assert outbox.kept_bytes > 90 * 3000


def test_what_finds_no_room_at_all_is_counted_and_reported_once_there_is(
    open_outbox: Open, features: Make, full_disk: Callable[[Outbox, bool], None]
) -> None:
    outbox = open_outbox()
    full_disk(outbox, True)
    with pytest.raises(Unavailable, match="5 records could not be kept"):
        outbox.append([features(5, size=100_000)])
    full_disk(outbox, False)
    kept = outbox.append([features(2)])
    assert kept.first == 5 + 1 + 1  # five that are missing, then the report, then this
    report, after = outbox.read(*ALL)
    assert report.blob == b"not kept by the device: its disk was full or failed:1-5"
    assert (after.first, after.last) == (7, 8)


def test_on_a_real_disk_without_room_every_record_is_kept_or_reported(tmp_path: Path) -> None:
    """Row 3, on a file system of 4 MB that takes 12 MB of records."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        outbox = Outbox(disk / "outbox.sqlite", gap=wire.gap_parcel)
        for i in range(4000):
            outbox.append([Parcel(Kind.ALERT if i == 7 else Kind.FEATURES, 1, bytes([i % 251]) * 3000)])
        entries = outbox.read(*ALL)
        gaps = [g for e in entries if e.kind is Kind.GAP for g in wire.numbered(e).gaps]
        reported = {n for g in gaps for n in range(g.range.first, g.range.last + 1)}
        kept = {n for a, b in outbox.kept_ranges() for n in range(a, b + 1)}
        assert kept | reported == set(range(1, outbox.head + 1))
        assert not kept & reported
        assert [e.first for e in outbox.read_alerts()] == [8]
        outbox.stored(outbox.epoch, [(1, outbox.head)])
        assert outbox.kept_bytes == 0
        outbox.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_error_of_the_disk_is_never_counted_as_kept(open_outbox: Open, features: Make, file: Path) -> None:
    outbox = open_outbox()
    outbox.append([features()])
    outbox._store._database.writer = _Failing("COMMIT", outbox._store._database.writer)  # type: ignore[assignment]
    with pytest.raises(Unavailable, match=f"{file}.*disk I/O error"):
        outbox.append([features()])
    assert outbox.head == 1
    assert outbox.kept_ranges() == [(1, 1)]


class _Failing:
    """A connection on which one statement fails as a broken disk lets it fail."""

    def __init__(self, statement: str, connection: sqlite3.Connection) -> None:
        self._statement = statement
        self._connection = connection

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        self._check(sql)
        return self._connection.execute(sql, *parameters)

    def executemany(self, sql: str, rows: object) -> sqlite3.Cursor:
        self._check(sql)
        return self._connection.executemany(sql, rows)  # type: ignore[arg-type]

    def _check(self, sql: str) -> None:
        if sql.startswith(self._statement):
            raise sqlite3.OperationalError("disk I/O error")


def test_an_unreadable_record_is_quarantined_by_number_and_later_ones_flow(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(2), features(3), features()])
    with outbox._store._database.transaction() as db:
        db.execute("UPDATE blob SET data = x'00' WHERE id = (SELECT blob FROM parcel WHERE last = 5)")
    assert [(e.first, e.last) for e in outbox.read(*ALL)] == [(1, 2), (6, 6)]
    assert outbox.read(6, 1 << 62, 1)[0].blob == b"unreadable in the device's store:3-5"
    assert outbox._store._database.writer.execute("SELECT first, last FROM quarantine").fetchall() == [(3, 5)]


@pytest.mark.parametrize("damage", ["truncated", "zeroed", "emptied", "foreign"])
def test_a_damaged_file_is_kept_aside_and_a_new_epoch_begins(
    open_outbox: Open, features: Make, file: Path, damage: str
) -> None:
    outbox = open_outbox()
    for _ in range(40):
        outbox.append([features(size=2000)], {"judge": b"learned"})
    epoch = outbox.epoch
    outbox.close()
    size = file.stat().st_size
    content = {
        "truncated": file.read_bytes()[: size // 2],
        "zeroed": bytes(size),
        "emptied": b"",
        "foreign": b"this is no database" * 1000,
    }[damage]
    file.write_bytes(content)
    again = open_outbox()
    assert again.epoch != epoch
    assert (again.head, again.kept_bytes) == (0, 0)
    aside = [p for p in file.parent.iterdir() if ".damaged-" in p.name and p.name.endswith("-0")]
    assert [p.read_bytes() for p in aside] == [content]
    assert again.append([features()]).first == 1


def test_damage_that_shows_while_running_starts_over_and_later_appends_are_kept(
    open_outbox: Open, features: Make, file: Path
) -> None:
    outbox = open_outbox()
    for _ in range(100):
        outbox.append([features(size=2000)], {"judge": b"whole"})
    old = outbox.epoch
    outbox._store._database.fold()
    with file.open("r+b") as f:
        f.seek(4096 * 8)
        f.write(b"\xff" * (file.stat().st_size - 4096 * 8))
    assert outbox.read(*ALL) == []
    assert outbox.epoch != old
    kept = outbox.append([features(size=2000)], {"judge": b"whole"})
    assert (kept.epoch, kept.first) == (outbox.epoch, 1)
    assert [e.blob for e in outbox.read(*ALL)] == [bytes([1]) * 2000]
    assert outbox.state("judge") == b"whole"
    assert any(".damaged-" in p.name for p in file.parent.iterdir())


def test_many_threads_get_numbers_of_their_own(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    firsts: list[int] = []

    def work() -> None:
        firsts.extend(outbox.append([features(3)]).first for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(firsts) == list(range(1, 240, 3))


def test_a_source_that_can_wait_is_woken_when_room_came_back(open_outbox: Open, features: Make) -> None:
    outbox = open_outbox()
    outbox.append([features(size=5000)])
    assert not outbox.wait_below(1000, timeout_s=0.01)
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(outbox.wait_below(1000, timeout_s=20)))
    thread.start()
    outbox.stored(outbox.epoch, [(1, 1)])
    thread.join(20)
    assert woken == [True]


def test_the_second_agent_on_a_store_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with (
        StoreLock(tmp_path),
        pytest.raises(WrongUse, match=r"another agent uses this store: process \d+"),
        StoreLock(tmp_path),
    ):
        pass
    with StoreLock(tmp_path):
        pass


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=f"{tmp_path}/absent.*does not exist"):
        StoreLock(tmp_path / "absent")
