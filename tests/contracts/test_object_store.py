"""What every object store must do, run over every one: a folder, and a real S3 server."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud.config import S3Config
from cloud.store import ObjectStore
from cloud.store.local import LocalStore
from cloud.store.s3 import S3Store
from models.errors import ConfigurationError, ForewarnError, Unavailable


def s3_store(s3, *, secret: str | None = None, **changes) -> S3Store:
    fields = {
        "endpoint": s3.endpoint,
        "bucket": changes.pop("bucket", None) or s3.create_bucket(),
        "access_key": s3.access_key,
        "secure": False,
        "region": s3.region,
    }
    return S3Store(S3Config(**{**fields, **changes}), secret or s3.secret_key)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path / "store") if request.param == "local" else s3_store(request.getfixturevalue("s3"))


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 4000], ids=["empty", "byte", "megabyte"])
def test_what_was_put_is_got(store: ObjectStore, data):
    store.put("lake/enterprise=demo/site=Hall 2/a.parquet", data)
    assert store.get("lake/enterprise=demo/site=Hall 2/a.parquet") == data


def test_a_second_put_replaces_the_first(store: ObjectStore):
    store.put("a", b"first, and longer")
    store.put("a", b"second")
    assert store.get("a") == b"second"


def test_a_missing_key_is_a_key_error_and_deleting_it_is_fine(store: ObjectStore):
    with pytest.raises(KeyError):
        store.get("nothing/here")
    store.delete("nothing/here")
    store.put("a/b", b"x")
    with pytest.raises(KeyError):
        store.get("a")
    store.delete("a/b")
    with pytest.raises(KeyError):
        store.get("a/b")


def test_a_listing_gives_every_key_with_the_prefix_in_order_and_no_other(store: ObjectStore):
    assert list(store.list("")) == []
    keys = ["b", "a/2", "a/10", "a-b", "a/1/z", "c/a/1"]
    for key in keys:
        store.put(key, b"x")
    assert list(store.list("")) == sorted(keys)
    assert list(store.list("a/")) == ["a/1/z", "a/10", "a/2"]
    assert list(store.list("a/1")) == ["a/1/z", "a/10"]
    assert list(store.list("nothing/")) == []


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/./b", "a/../../b", "a\0b", "ä", "a\\b", "a" * 401, "a\n"]
)
def test_a_key_that_could_trick_a_path_is_refused_before_anything_is_done(store: ObjectStore, key):
    calls: list[Callable[[], object]] = [
        lambda: store.put(key, b"x"),
        lambda: store.get(key),
        lambda: store.delete(key),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="key"):
            call()
    assert list(store.list("")) == []


def test_many_threads_may_put_and_get_at_once(store: ObjectStore):
    def both(n: int) -> bool:
        store.put(f"many/{n}", str(n).encode())
        return store.get(f"many/{n}") == str(n).encode()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(both, range(40)))
    assert len(list(store.list("many/"))) == 40


def test_readers_see_the_old_object_or_the_new_one_and_never_a_part(store: ObjectStore):
    old, new = b"o" * 300_000, b"n" * 300_000
    store.put("k", old)
    done = threading.Event()

    def replace() -> None:
        for data in (new, old, new):
            store.put("k", data)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        replaced = pool.submit(replace)
        while not done.is_set() and not replaced.done():
            assert store.get("k") in (old, new)
        replaced.result()
    assert store.get("k") == new


def test_a_local_put_that_is_killed_half_way_leaves_no_object_in_any_listing(tmp_path: Path):
    code = """
        import os, sys
        from pathlib import Path
        from cloud.store.local import LocalStore
        os.fsync = lambda descriptor: os._exit(9)
        LocalStore(Path(sys.argv[1])).put("a/b", b"x" * 100_000)
    """
    LocalStore(tmp_path).put("a/other", b"y")
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code), tmp_path], cwd=Path.cwd(), check=False)
    assert ended.returncode == 9
    store = LocalStore(tmp_path)
    assert list(store.list("")) == ["a/other"]
    store.put("a/b", b"z")
    assert store.get("a/b") == b"z"


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path):
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="cannot write"):
        LocalStore(tmp_path / "store").put("a", b"x")


def test_a_bucket_that_does_not_exist_is_made_by_the_first_put(s3):
    store = s3_store(s3, bucket="made-on-first-put")
    assert list(store.list("")) == []
    with pytest.raises(KeyError):
        store.get("a")
    store.put("a", b"x")
    assert store.get("a") == b"x"


def test_a_wrong_secret_is_a_configuration_error_that_names_the_section(s3):
    with pytest.raises(ConfigurationError, match=r"check \[s3\] in cloud.toml"):
        s3_store(s3, secret="wrong").put("a", b"x")


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield "{}:{}".format(*listener.getsockname())


@pytest.mark.parametrize("call", ["put", "get", "list", "delete"])
def test_a_server_that_never_answers_is_unavailable_within_the_time_that_was_set(silent: str, call):
    config = S3Config(endpoint=silent, bucket="bucket", access_key="a", secure=False, timeout_seconds=0.3)
    store = S3Store(config, "secret")
    calls = {
        "put": lambda: store.put("a", b"x"),
        "get": lambda: store.get("a"),
        "list": lambda: list(store.list("")),
        "delete": lambda: store.delete("a"),
    }
    begin = time.monotonic()
    with pytest.raises(Unavailable):
        calls[call]()
    assert time.monotonic() - begin < 2


def test_a_server_that_is_not_there_is_unavailable_at_once(free_port: int):
    config = S3Config(endpoint=f"127.0.0.1:{free_port}", bucket="bucket", access_key="a", secure=False)
    begin = time.monotonic()
    with pytest.raises(ForewarnError) as failure:
        S3Store(config, "secret").put("a", b"x")
    assert isinstance(failure.value, Unavailable)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("bucket", ["", "b", "Upper", "a/b"])
def test_a_bucket_that_cannot_be_is_a_configuration_error(bucket: str):
    with pytest.raises(ConfigurationError, match="bucket"):
        S3Store(S3Config(endpoint="127.0.0.1:1", bucket=bucket, access_key="a"), "secret")
