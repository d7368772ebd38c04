"""A backup is whole or there is none, and a restored cloud is the one that was, also in another database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cloud.backup import BackupDamaged, back_up, restore
from cloud.catalogue import dump
from cloud.catalogue import tables as t
from cloud.catalogue.access import reading
from cloud.catalogue.ingest import LOST
from cloud.config import S3Config
from cloud.lake.gaps import read as read_gaps
from cloud.lake.verify import verify
from cloud.wiring import Cloud
from forewarn.commands.backup import backup
from models.errors import ForewarnError, WrongUse
from tests.cloud.lake.filling import fill
from tests.cloud.running import QUICK, eventually, play, running
from tests.edge.device_simulator import DeviceSimulator
from tests.models.making import make_parts


def tables_of(cloud: Cloud) -> dict[str, list[bytes]]:
    with reading(cloud.engine) as connection:
        return {name: sorted(dump.lines(connection, name)) for name in dump.names()}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path / "restored", QUICK)
    cloud.data.mkdir()
    yield cloud
    cloud.close()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_restored_cloud_is_the_one_that_was(opened: Cloud, tmp_path: Path, database: str, request):
    url = "" if database == "sqlite" else str(request.getfixturevalue("postgres").create_database())
    opened.registry.initialise()
    for n in range(3):
        fill(opened, 1 + 10 * n, 10)
    back_up(opened, tmp_path / "backup")
    fill(opened, 31, 10)  # after the backup
    other = Cloud(tmp_path / "restored", msgspec.structs.replace(QUICK, database=url))
    other.data.mkdir()
    restore(other, tmp_path / "backup")
    with_later = tables_of(opened)
    restored = tables_of(other)
    assert restored["segment"] == with_later["segment"][:3]
    assert other.lake.rows("features").num_rows == 30
    assert list(verify(other.engine, other.store, "demo")) == []
    for folder in ("keys", "trust"):
        files = [p for p in (opened.data / folder).rglob("*") if p.is_file()]
        assert files
        assert all((other.data / p.relative_to(opened.data)).read_bytes() == p.read_bytes() for p in files)
    assert {p.stat().st_mode & 0o77 for p in (other.data / "keys").iterdir()} == {0}
    assert list(other.store.list("registry/")) == list(opened.store.list("registry/"))
    before = other.lake.head()
    fill(other, 31, 5)  # numbers go on after the restored ones
    assert other.lake.head() == before + 1
    other.close()


def test_a_cloud_on_s3_and_postgres_comes_back_from_a_bucket_of_its_own_and_signs_on(
    postgres, s3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Both ways: from SQLite and a bucket to PostgreSQL and another bucket, and back to a folder."""
    monkeypatch.setenv("FOREWARN_S3_SECRET", s3.secret_key)

    def bucket() -> S3Config:
        at = {"endpoint": s3.endpoint, "region": s3.region, "access_key": s3.access_key}
        return S3Config(bucket=s3.create_bucket(), secure=False, **at)

    configs = {
        "first": msgspec.structs.replace(QUICK, s3=bucket()),
        "second": msgspec.structs.replace(QUICK, s3=bucket(), database=str(postgres.create_database())),
        "third": QUICK,
    }
    clouds = {name: Cloud(tmp_path / name, config) for name, config in configs.items()}
    for cloud in clouds.values():
        cloud.data.mkdir()
    first = clouds["first"]
    first.registry.initialise()
    for n in (1, 2):
        first.registry.publish(make_parts(f"b-{n}").pack())
    first.registry.promote("b-1")
    fill(first, 1, 10)
    for source, target in (("first", "second"), ("second", "third")):
        back_up(clouds[source], tmp_path / f"backup of {source}")
        restore(clouds[target], tmp_path / f"backup of {source}")
        assert tables_of(clouds[target]) == tables_of(clouds[source])
        for key in clouds[source].store.list(""):
            assert clouds[target].store.get(key) == clouds[source].store.get(key)
    third = clouds["third"]
    assert third.lake.rows("features").num_rows == 10
    assert list(verify(third.engine, third.store, "demo")) == []
    assert third.trust_root.read_bytes() == first.trust_root.read_bytes()
    third.registry.promote("b-2")  # signed with the keys that came back
    assert {b.name: b.state for b in third.registry.list()} == {"b-1": "retired", "b-2": "champion"}
    assert third.registry.read("b-2") == make_parts("b-2").pack()
    for cloud in clouds.values():
        cloud.close()


def test_a_damaged_backup_is_refused_and_nothing_is_restored(opened: Cloud, empty: Cloud, tmp_path: Path):
    path = fill(opened, 1, 10)
    back_up(opened, tmp_path / "backup")
    (tmp_path / "backup" / "objects" / path).write_bytes(b"damaged")
    with pytest.raises(BackupDamaged, match="not what the backup wrote"):
        restore(empty, tmp_path / "backup")
    assert not list(empty.store.list(""))
    assert not any(tables_of(empty).values())


def test_a_cloud_that_has_data_is_never_filled_over(opened: Cloud, tmp_path: Path):
    fill(opened, 1, 10)
    back_up(opened, tmp_path / "backup")
    before = tables_of(opened)
    with pytest.raises(WrongUse, match="has data or keys already"):
        restore(opened, tmp_path / "backup")
    assert tables_of(opened) == before


def test_a_backup_without_one_of_its_objects_is_no_backup(opened: Cloud, tmp_path: Path):
    opened.store.delete(fill(opened, 1, 10))
    with pytest.raises(ForewarnError, match="names an object that is not there"):
        back_up(opened, tmp_path / "backup")
    assert not [p for p in tmp_path.iterdir() if "backup" in p.name]


def test_a_backup_of_a_newer_version_and_a_folder_that_is_none_are_refused(opened: Cloud, empty: Cloud, tmp_path: Path):
    call = [str(tmp_path / "backup"), "--json", "--data", str(opened.data)]
    said = CliRunner().invoke(backup, call, catch_exceptions=False)
    assert json.loads(said.output.splitlines()[-1])["objects"] == 0
    with pytest.raises(WrongUse, match="exists already"):
        back_up(opened, tmp_path / "backup")
    file = tmp_path / "backup" / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": "9999"}))
    with pytest.raises(WrongUse, match="schema 9999"):
        restore(empty, tmp_path / "backup")
    with pytest.raises(WrongUse, match="no backup"):
        restore(empty, tmp_path / "nowhere")


def test_a_device_that_moved_on_since_the_backup_begins_a_new_epoch_and_what_is_lost_is_told(
    opened: Cloud, empty: Cloud, tmp_path: Path
):
    """Row 10: the cloud was restored from a backup, its cursor is behind what the device already deleted."""
    device = DeviceSimulator(tmp_path / "device", [])

    async def deliver(address: str) -> None:
        device._addresses[:] = [address]
        device.connect()
        await eventually(lambda: device.outbox.kept_bytes == 0)
        await asyncio.to_thread(device.disconnect)

    async def story() -> None:
        async with running(opened) as gateway:
            device.append(30)
            await deliver(gateway.address)
            await asyncio.to_thread(back_up, opened, tmp_path / "backup")
            device.append(30, start=30)
            await deliver(gateway.address)
        epoch = device.outbox.epoch
        device.append(10, start=60)
        await asyncio.to_thread(restore, empty, tmp_path / "backup")
        async with running(empty) as gateway:
            await deliver(gateway.address)
        assert device.outbox.epoch != epoch
        stored = {(b.epoch == epoch): list(b.stored) for b in empty.lake.ledger()}
        assert stored == {True: [(1, 30)], False: [(1, 10)]}
        told = read_gaps(empty.engine, "demo", now_ns=0)
        assert [(g.epoch, g.first, g.last, g.final) for g in told] == [(epoch, 31, 60, True), (epoch, 61, 70, True)]
        assert told[0].reason == LOST
        assert "newer epoch" in told[1].reason
        assert list(verify(empty.engine, empty.store, "demo")) == []
        with reading(empty.engine) as connection:
            assert connection.scalars(select(t.quarantine.c.sequence)).all() == []

    try:
        play(story())
    finally:
        device.outbox.close()
