from __future__ import annotations

import datetime
import shutil
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, update
from tuf.api.metadata import Metadata, Targets, Timestamp

from cloud.catalogue import rollout
from cloud.catalogue.access import reading, writing
from cloud.catalogue.tables import assignment, bundle
from cloud.registry.repository import utc_now
from models.errors import BundleRejected, ConfigurationError, ForewarnError, WrongUse
from models.manifest import Manifest
from tests.models.making import make_parts

PARTS = make_parts()


def data_of(name: str, machine_class: str = "bearing") -> bytes:
    return PARTS.with_manifest(name=name, machine_class=machine_class).pack()


def states(registry) -> dict[str, str]:
    return {row.name: row.state for row in registry.list()}


def assigned(engine) -> dict[str, str]:
    with reading(engine) as connection:
        return rollout.assignments(connection, "acme")


def timestamp_version(store) -> int:
    return Metadata[Timestamp].from_bytes(store.get("registry/acme/metadata/timestamp.json")).signed.version


def test_a_published_bundle_is_a_candidate_that_runs_nowhere(registry, engine):
    assert registry.publish(data_of("b-1")) == "b-1"
    (row,) = registry.list()
    assert (row.name, row.machine_class, row.state) == ("b-1", "bearing", "candidate")
    assert msgspec.json.decode(row.manifest, type=Manifest).name == "b-1"
    assert assigned(engine) == {}
    assert registry.read("b-1") == data_of("b-1")
    assert registry.verify(data_of("b-1")) == "candidate"


def test_the_first_bundle_may_be_published_before_anything_was_served(open_registry):
    fresh = open_registry()
    fresh.publish(data_of("b-1"))
    assert fresh.trust_root.exists()
    assert states(fresh) == {"b-1": "candidate"}


def test_publishing_the_same_bytes_twice_changes_nothing(registry, store):
    registry.publish(data_of("b-1"))
    before = sorted(store.list("registry/"))
    assert registry.publish(data_of("b-1")) == "b-1"
    assert sorted(store.list("registry/")) == before


def test_a_name_never_gets_other_bytes(registry):
    registry.publish(data_of("b-1"))
    with pytest.raises(BundleRejected, match="other bytes"):
        registry.publish(data_of("b-1", "gearbox"))
    assert registry.read("b-1") == data_of("b-1")


def test_a_bundle_with_a_graph_that_no_device_takes_is_not_signed(registry, store):
    from models.bundle import _zip
    from tests.models.test_bundle import content_of

    before = sorted(store.list("registry/"))
    with pytest.raises(BundleRejected):
        registry.publish(_zip({**content_of(data_of("b-1")), "model.onnx": b"\0"}))
    assert (registry.list(), sorted(store.list("registry/"))) == ([], before)


def test_promote_assigns_and_retires_and_rollback_goes_back_step_by_step(registry, engine, store):
    for name in ("b-1", "b-2", "b-3", "never"):
        registry.publish(data_of(name))
    for name in ("b-1", "b-2", "b-3"):
        registry.promote(name)
    assert states(registry) == {"b-1": "retired", "b-2": "retired", "b-3": "champion", "never": "candidate"}
    versions = [timestamp_version(store)]
    for expected in ("b-2", "b-1"):
        assert registry.rollback("bearing") == expected
        assert assigned(engine) == {"bearing": expected}
        versions.append(timestamp_version(store))
    assert versions == sorted(set(versions)), "going back is newer metadata, never an older one"
    with pytest.raises(WrongUse, match="nothing ran before"):
        registry.rollback("bearing")
    registry.promote("b-3")
    assert registry.rollback("bearing") == "b-1", "what ran before is what ran, not what was published"


def test_machine_classes_do_not_touch_each_other(registry, engine):
    registry.publish(data_of("b-1"))
    registry.publish(data_of("g-1", "gearbox"))
    registry.promote("b-1")
    registry.promote("g-1")
    assert assigned(engine) == {"bearing": "b-1", "gearbox": "g-1"}
    with pytest.raises(WrongUse, match="pump"):
        registry.rollback("pump")


def test_a_blocked_champion_gives_way_to_what_ran_before_and_never_returns(registry, engine):
    for name in ("b-1", "b-2"):
        registry.publish(data_of(name))
        registry.promote(name)
    registry.block("b-2")
    assert assigned(engine) == {"bearing": "b-1"}
    with pytest.raises(WrongUse, match="blocked"):
        registry.promote("b-2")
    registry.block("b-1")
    assert assigned(engine) == {"bearing": ""}
    assert set(states(registry).values()) == {"blocked"}


def test_an_unknown_name_changes_nothing(registry, store):
    before = timestamp_version(store)
    for call in (registry.promote, registry.block, registry.read):
        with pytest.raises(WrongUse, match="no-such"):
            call("no-such")
    assert timestamp_version(store) == before


def test_verify_names_a_file_that_nobody_signed(registry):
    with pytest.raises(BundleRejected, match="no signature"):
        registry.verify(data_of("b-1"))
    registry.publish(data_of("b-1"))
    with pytest.raises(BundleRejected, match="not the bytes"):
        registry.verify(data_of("b-1", "gearbox"))


def test_keys_are_for_their_owner_only_and_are_never_made_twice(registry, open_registry, tmp_path: Path):
    keys = tmp_path / "keys"
    before = {f.name: f.read_bytes() for f in keys.iterdir()}
    assert set(before) == {"root.pem", "targets.pem", "snapshot.pem", "timestamp.pem"}
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in keys.iterdir()} == {0o600}
    root = registry.trust_root.read_bytes()
    open_registry().initialise()
    assert {f.name: f.read_bytes() for f in keys.iterdir()} == before
    assert registry.trust_root.read_bytes() == root


def test_without_its_keys_a_registry_reads_but_does_not_sign(registry, open_registry, tmp_path: Path):
    registry.publish(data_of("b-1"))
    shutil.rmtree(tmp_path / "keys")
    other = open_registry()
    other.initialise()
    assert other.read("b-1") == data_of("b-1")
    with pytest.raises(ConfigurationError, match="key"):
        other.promote("b-1")
    assert states(other) == {"b-1": "candidate"}


def test_a_crash_between_the_signature_and_the_catalogue_is_mended(registry, open_registry, engine):
    registry.publish(data_of("b-1"))
    registry.promote("b-1")
    with writing(engine) as connection:  # what the catalogue holds if its transaction was lost
        connection.execute(delete(assignment))
        connection.execute(delete(bundle))
    open_registry().initialise()
    assert (states(registry), assigned(engine)) == ({"b-1": "champion"}, {"bearing": "b-1"})


def test_who_writes_to_the_database_does_not_decide_what_runs(registry, open_registry, engine):
    for name in ("b-1", "b-2"):
        registry.publish(data_of(name))
    registry.promote("b-1")
    with writing(engine) as connection:
        connection.execute(update(assignment).values(bundle="b-2"))
    open_registry().initialise()
    assert assigned(engine) == {"bearing": "b-1"}


def test_metadata_that_our_keys_did_not_sign_is_not_signed_anew(registry, store):
    registry.publish(data_of("b-1"))
    key = max(k for k in store.list("registry/acme/metadata/") if k.endswith("targets.json"))
    metadata = Metadata[Targets].from_bytes(store.get(key))
    metadata.signed.targets["b-1"].unrecognized_fields["custom"]["state"] = "champion"
    store.put(key, metadata.to_bytes())
    with pytest.raises(ForewarnError, match="not what our keys signed"):
        registry.publish(data_of("b-2"))


def test_what_is_half_expired_is_renewed_and_nothing_else(open_registry, store):
    now = utc_now()
    registry = open_registry(clock=lambda: now)
    registry.initialise()
    registry.publish(data_of("b-1"))
    before = timestamp_version(store)
    now += datetime.timedelta(days=6)
    registry.refresh()
    assert timestamp_version(store) == before
    now += datetime.timedelta(days=2)
    registry.refresh()
    assert timestamp_version(store) == before + 1
    files = [k for k in store.list("registry/acme/metadata/") if k.endswith("targets.json")]
    now += datetime.timedelta(days=100)
    registry.refresh()
    assert len([k for k in store.list("registry/acme/metadata/") if k.endswith("targets.json")]) == len(files) + 1


def test_two_writers_at_once_lose_nothing(registry, open_registry):
    names = [f"b-{i}" for i in range(6)]
    bundles = {name: data_of(name) for name in names}
    threads = [threading.Thread(target=open_registry().publish, args=(bundles[name],)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(states(registry)) == set(names)
    for name in names:
        assert registry.read(name) == bundles[name]
