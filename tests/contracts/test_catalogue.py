"""What every catalogue must do, run over every one: SQLite, and a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import ProgrammingError

from cloud.catalogue import migrations
from cloud.catalogue import tables as t
from cloud.catalogue.access import reading, writing
from cloud.catalogue.engine import open_engine
from cloud.catalogue.ingest import Advance, AlreadyStored, CursorKey, DeviceFacts, Ingest, Quarantined, commit, greet
from cloud.catalogue.lake import Segment, head, live, new_commit
from cloud.catalogue.migrate import configuration, migrate
from cloud.catalogue.upsert import upsert
from cloud.ranges import Ranges
from models.errors import ConfigurationError, Unavailable
from tests.servers.postgres import Postgres

KEY = CursorKey("demo", "hall", "edge-1", 7)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    return str(request.getfixturevalue("postgres").create_database())


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    opened = open_engine(url)
    migrate(opened)
    yield opened
    opened.dispose()


def segment(path: str, rows: int = 10) -> Segment:
    return Segment(
        site="hall",
        path=path,
        kind="features",
        schema="",
        rows=rows,
        bytes=1,
        sha256="0",
        first_time_ns=1,
        last_time_ns=2,
        machines=("P-101",),
    )


def work(first: int, last: int, path: str, *, key: CursorKey = KEY, refused: tuple[int, ...] = ()) -> Ingest:
    return Ingest(
        segments=[segment(path)],
        advances={key: Advance(Ranges([(first, last)]), (last, b"digest %d" % last))},
        quarantined=[Quarantined(key, s, "not_finite", "why", b"record") for s in refused],
        schemas={2**63 + 1: (("rms@1",), ("g",))},
    )


def store(engine: Engine, what: Ingest) -> None:
    with writing(engine) as connection:
        commit(connection, "demo", what, 1)


def stored(engine: Engine, key: CursorKey = KEY) -> Ranges:
    with reading(engine) as connection:
        row = connection.execute(select(t.cursor).where(*key.where(t.cursor))).one_or_none()
    return Ranges.decode(row.ranges) if row else Ranges()


def paths(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return [row.path for row in connection.execute(live("demo"))]


def test_the_migrations_make_exactly_the_tables(engine: Engine):
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, t.metadata) == []
        newest = ScriptDirectory.from_config(configuration(connection)).get_current_head()
    assert newest == migrations.HEAD


def test_opening_twice_and_by_many_at_once_migrates_once(url: str):
    def one(_: int) -> None:
        opened = open_engine(url)
        migrate(opened)
        opened.dispose()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(6)))
    opened = open_engine(url)
    with reading(opened) as connection:
        assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [migrations.HEAD]
    opened.dispose()


def test_a_catalogue_of_a_newer_version_is_refused_and_stays_as_it_is(engine: Engine):
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="schema 9999"):
        migrate(engine)
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_segment_and_its_cursor_are_committed_together(engine: Engine):
    store(engine, work(1, 10, "a", refused=(3,)))
    assert (list(stored(engine)), paths(engine)) == ([(1, 10)], ["a"])
    with reading(engine) as connection:
        row = connection.execute(select(t.cursor)).one()
        assert (row.head_sequence, row.head_digest, row.device_head) == (10, b"digest 10", 10)
        assert connection.execute(select(t.schema.c.id)).scalar() == "8000000000000001"
        assert connection.execute(select(t.quarantine.c.sequence)).scalars().all() == [3]


def test_records_that_are_stored_already_are_named_and_nothing_changes(engine: Engine):
    store(engine, work(1, 10, "a"))
    with pytest.raises(AlreadyStored) as conflict:
        store(engine, work(8, 15, "b", refused=(9,)))
    assert {k: list(r) for k, r in conflict.value.ranges.items()} == {KEY: [(8, 10)]}
    assert (list(stored(engine)), paths(engine)) == ([(1, 10)], ["a"])
    with reading(engine) as connection:
        assert connection.execute(select(t.quarantine)).all() == []


def test_the_same_commit_again_changes_nothing(engine: Engine):
    for _ in range(2):
        store(engine, work(1, 10, "a", refused=(3,)))
    assert (list(stored(engine)), paths(engine)) == ([(1, 10)], ["a"])


def test_a_head_never_moves_back(engine: Engine):
    store(engine, work(20, 30, "a"))
    store(engine, work(1, 10, "b"))
    with reading(engine) as connection:
        row = connection.execute(select(t.cursor)).one()
    assert (row.head_sequence, row.head_digest) == (30, b"digest 30")
    assert list(stored(engine)) == [(1, 10), (20, 30)]


def test_writers_that_race_for_the_same_records_store_each_once(engine: Engine):
    start = threading.Barrier(4)

    def race(n: int) -> Ranges:
        start.wait(10)
        won = Ranges()
        for at in range(0, 200, 10):
            try:
                store(engine, work(at + 1, at + 10, f"{n}-{at}"))
                won.add(at + 1, at + 10)
            except AlreadyStored:
                continue
        return won

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(race, range(4)))
    assert list(stored(engine)) == [(1, 200)]
    assert sum(map(len, won)) == 200
    assert len(paths(engine)) == 20


def test_writers_that_move_the_same_cursors_in_another_order_do_not_block_each_other(engine: Engine):
    keys = [CursorKey("demo", "hall", f"edge-{n}", 7) for n in range(6)]
    start = threading.Barrier(2)

    def write(turn: int) -> None:
        start.wait(10)
        for step in range(15):
            at = 1000 * turn + step
            order = keys if turn else keys[::-1]
            advances = {key: Advance(Ranges([(at + 1, at + 1)]), None) for key in order}
            store(engine, Ingest(segments=[segment(f"{turn}-{step}")], advances=advances, schemas={}))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    assert all(len(stored(engine, key)) == 30 for key in keys)


def test_commits_become_visible_in_the_order_of_their_numbers(engine: Engine):
    """Or a reader `as of` a commit would find more in it later."""
    with ThreadPoolExecutor(1) as pool:
        with writing(engine) as slow:
            first = new_commit(slow, "ingest", 1)
            second = pool.submit(store, engine, work(1, 10, "a"))
            with pytest.raises(TimeoutError):
                second.result(timeout=0.5)
            with reading(engine) as connection:
                assert head(connection) == 0
        second.result(timeout=10)
    with reading(engine) as connection:
        assert (head(connection), first) == (2, 1)


def test_a_hello_writes_who_speaks_and_reads_what_is_stored(engine: Engine):
    described = {"line": "", "simulated": False, "speed_rpm": None, "channels": "[]"}
    facts = DeviceFacts(
        head=12, software_version="1", machines=[{"machine": "P-101", "machine_class": "pump", **described}]
    )
    with writing(engine) as connection:
        empty = greet(connection, KEY, facts, 5)
    assert (empty.head, list(empty.stored), list(empty.alerts)) == (None, [], [])
    store(engine, work(1, 10, "a"))
    with writing(engine) as connection:
        known = greet(connection, KEY, facts, 6)
    assert (known.head, list(known.stored)) == ((10, b"digest 10"), [(1, 10)])
    with reading(engine) as connection:
        assert connection.execute(select(t.cursor.c.device_head)).scalar() == 12
        assert connection.execute(select(t.device.c.last_seen_ns)).scalar() == 6
        assert connection.execute(select(t.machine.c.machine_class)).scalar() == "pump"


def test_an_upsert_of_many_rows_keeps_the_newer_value(engine: Engine):
    def rows(value: float, event_time_ns: int) -> list[dict[str, object]]:
        where = {"enterprise": "demo", "site": "hall", "machine": "P-101", "channel": "x", "received_ns": 1}
        return [
            {
                **where,
                "metric": f"m{n}@1",
                "value": value,
                "event_time_ns": event_time_ns,
                "source": "",
                "replay": False,
            }
            for n in range(1200)
        ]

    changing = ["value", "event_time_ns"]
    for value, event_time_ns in ((1.0, 100), (2.0, 200), (3.0, 50)):
        with writing(engine) as connection:
            upsert(connection, t.latest, rows(value, event_time_ns), update=changing, newer="event_time_ns")
    with reading(engine) as connection:
        assert set(connection.scalars(select(t.latest.c.value))) == {2.0}
        assert len(connection.execute(select(t.latest.c.metric)).all()) == 1200


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path, free_port: int):
    for url in (f"sqlite:///{tmp_path}/no/such/folder/c.sqlite", f"postgresql+pg8000://nobody@127.0.0.1:{free_port}/x"):
        opened = open_engine(url)
        with pytest.raises(Unavailable, match="catalogue does not answer"), reading(opened) as connection:
            connection.execute(text("SELECT 1"))
        opened.dispose()


@pytest.mark.parametrize(
    ("state", "raised"),
    [
        ("57P03", Unavailable),  # starting up
        ("53300", Unavailable),  # too many connections
        ("40P01", Unavailable),  # a deadlock
        ("57P01", Unavailable),  # shutting down
        ("57P02", Unavailable),  # a process of it crashed
        ("08006", Unavailable),  # a connection broke
        ("55P03", Unavailable),  # a lock that another one has
        ("25006", Unavailable),  # a standby that is to become the primary
        ("42P01", ProgrammingError),  # a statement of ours that is wrong stays an error of ours
    ],
)
def test_what_mends_itself_is_told_from_what_is_wrong_by_the_servers_own_word(
    postgres: Postgres, state: str, raised: type[Exception]
):
    opened = open_engine(str(postgres.create_database()))
    refuse = f"DO $$ BEGIN RAISE EXCEPTION 'as a test asks' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(raised, match="as a test asks"), writing(opened) as connection:
        connection.execute(text(refuse))
    opened.dispose()
