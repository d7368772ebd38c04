"""`forewarn cloud` and `forewarn lake`, as people and scripts call them."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloud.catalogue import migrations
from cloud.wiring import Cloud, open_cloud
from forewarn.commands.cloud import cloud
from forewarn.commands.lake import lake
from models.errors import ConfigurationError, WrongUse
from tests.cloud.gateway.device import Device
from tests.cloud.gateway.served import served
from tests.cloud.lake.filling import fill
from tests.cloud.running import assert_exactly, play


def call(opened: Cloud, *arguments: str) -> Result:
    return CliRunner().invoke(lake, [*arguments, "--data", str(opened.data)], catch_exceptions=False)


def last_line(result: Result) -> str:
    """What the command printed; without the command line's own logging set-up, log lines stand before it."""
    return str(result.output.splitlines()[-1])


def test_a_served_cloud_says_where_it_is_shows_pages_and_ends_kindly_with_everything_stored(tmp_path: Path):
    (tmp_path / "cloud.toml").write_text('segment_seconds = 600.0\nmetrics = "127.0.0.1:0"\n')

    async def story() -> None:
        with served(tmp_path) as start:
            gateway = await asyncio.to_thread(start, "127.0.0.1:0", "--page", "127.0.0.1:0")
            metrics = gateway.addresses["metrics"]
            said = await asyncio.to_thread(lambda: urllib.request.urlopen(metrics, timeout=10).read())
            assert b"forewarn_sessions 0.0" in said
            page = gateway.addresses["page"]
            assert page.startswith("http://127.0.0.1:")
            status = await asyncio.to_thread(lambda: urllib.request.urlopen(page, timeout=10).status)
            assert status == 200
            sender = Device()
            sender.make_many(2, 10)
            async with sender.connect(gateway.address) as connection:
                await connection.greet()
                await connection.send(*sender.kept.values())
                await connection.until(lambda: len(sender.received) == 20)
                ended = asyncio.create_task(asyncio.to_thread(gateway.end))
                await connection.until(lambda: sender.done)
                assert await ended == 0
        assert_exactly(open_cloud(tmp_path), "edge-1", 7, range(1, 21))

    play(story())


def test_an_address_that_is_taken_is_wrong_use_that_names_it(tmp_path: Path):
    with served(tmp_path) as start:
        address = start().address
        other = tmp_path / "other"
        with pytest.raises(ConfigurationError, match=f"cannot listen on {address}"):
            CliRunner().invoke(
                cloud, ["serve", "--no-page", "--gateway", address, "--data", str(other)], catch_exceptions=False
            )


def test_a_key_that_no_version_knows_is_refused_by_name(tmp_path: Path):
    (tmp_path / "cloud.toml").write_text("segment_secnds = 1\n")
    with pytest.raises(ConfigurationError, match="segment_secnds"):
        open_cloud(tmp_path)


def test_the_lake_lists_its_segments_for_people_and_for_machines(opened: Cloud):
    path = fill(opened, 1, 10)
    assert path in call(opened, "ls").output
    listed = json.loads(call(opened, "ls", "--json", "--kind", "features").output)
    assert (listed["commit"], [s["path"] for s in listed["segments"]]) == (1, [path])
    assert json.loads(call(opened, "ls", "--json", "--kind", "health").output)["segments"] == []


def test_the_ledger_says_what_is_stored_and_what_is_missing(opened: Cloud):
    fill(opened, 1, 10)
    assert "hall/edge-1 epoch 7: 10 stored (0 in quarantine), 0 alerts" in call(opened, "ledger").output
    (book,) = json.loads(call(opened, "ledger", "--json").output)
    assert (book["stored"], book["missing"]) == ([[1, 10]], [])


def test_verify_succeeds_on_a_sound_lake_and_fails_on_a_damaged_one(opened: Cloud):
    path = fill(opened, 1, 10)
    sound = call(opened, "verify")
    assert (sound.exit_code, sound.output) == (0, "all is well\n")
    opened.store.put(path, b"damaged")
    damaged = call(opened, "verify", "--json")
    assert damaged.exit_code == 1
    assert path in json.loads(damaged.output)["problems"][0]


def test_compact_and_gc_do_their_work_and_say_what_they_did(opened: Cloud):
    for n in range(3):
        fill(opened, n * 10 + 1, 10)
    assert json.loads(last_line(call(opened, "compact", "--json"))) == {"merged": 0}
    assert last_line(call(opened, "compact", "--all")) == "3 segments merged"
    done = json.loads(last_line(call(opened, "gc", "--older-than", "0", "--json")))
    assert done == {"replaced": 3, "orphans": 0}
    assert opened.lake.rows("features").num_rows == 30
    with pytest.raises(WrongUse, match="can no longer be read"):
        call(opened, "ls", "--as-of", "1")


def test_migrate_says_which_schema_the_catalogue_has(tmp_path: Path):
    said = CliRunner().invoke(cloud, ["migrate", "--data", str(tmp_path)], catch_exceptions=False)
    assert said.output.strip().endswith(f"has schema {migrations.HEAD}")


def test_the_files_of_tls_lie_in_the_data_folder_and_a_missing_one_is_named(tmp_path: Path):
    (tmp_path / "cloud.toml").write_text('[tls]\ncertificate = "tls/gateway.pem"\nkey = "/etc/gateway.key"\n')
    opened = open_cloud(tmp_path)
    tls = opened.config.tls
    assert tls is not None
    assert (tls.certificate, tls.key, tls.client_ca) == (str(tmp_path / "tls/gateway.pem"), "/etc/gateway.key", "")
    with pytest.raises(ConfigurationError, match=r"tls/gateway.pem: cannot be read: No such file or directory"):
        CliRunner().invoke(cloud, ["serve", "--no-page", "--data", str(tmp_path)], catch_exceptions=False)
