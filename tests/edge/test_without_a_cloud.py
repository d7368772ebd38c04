"""A device without any gateway, as a process: it alarms, tells, shows why, keeps its last days, and is replaced."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.processes import free_ports
from tests.warm import forewarn

CONFIG = """device = "edge-7"
store = "store"
[page]
listen = "127.0.0.1:{port}"
[records]
snapshot_every_hours = 0.5
[flight]
quota_bytes = 20_000_000
windows_after = 2
[announce]
relay = ["{python}", "-S", "-c", "import sys; open('{out}', 'a').write(sys.stdin.read() + chr(10))"]
[[machine]]
name = "P-101"
source = {{ kind = "simulator", fault = "outer_race", seed = 3, life_seconds = 4000, speed = 0 }}
"""


def edge(*arguments: object) -> subprocess.CompletedProcess[str]:
    return forewarn("edge", *arguments)


def until(ready: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_a_device_without_a_gateway_alarms_tells_shows_and_keeps(repository: Path, tmp_path: Path) -> None:
    port = free_ports()[0]
    store, told = tmp_path / "store", tmp_path / "told.jsonl"
    store.mkdir()
    config = tmp_path / "site.toml"
    config.write_text(CONFIG.format(port=port, python=sys.executable, out=told))
    with (tmp_path / "log").open("wb") as log:
        agent = subprocess.Popen(
            [sys.executable, "-m", "forewarn", "edge", "run", "--config", str(config), "--stay"],
            cwd=repository,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(repository)},
        )
    said = (tmp_path / "log").read_text
    try:
        until(lambda: "source ended" in said() or agent.poll() is not None, said())
        until(lambda: told.exists() and told.read_text().endswith("\n"), said())
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read().decode()
    finally:
        agent.send_signal(signal.SIGTERM)
        code = agent.wait(20)
    assert code == 0, said()
    first = json.loads(told.read_text().splitlines()[0])
    assert first["type"] == "forewarn.alarm.raised.v1"
    assert first["data"]["evidence"]
    changes = re.findall(r"change=(\w+)", re.sub(r"\x1b\[[0-9;]*m", "", said()))
    assert [json.loads(x)["data"]["change"].upper() for x in told.read_text().splitlines()] == changes
    assert re.search("(C Plan work|D Act now)", page)
    assert first["data"]["text"] in page
    assert "<path" in page

    with sqlite3.connect(f"file:{store / 'outbox.sqlite'}?mode=ro", uri=True) as db:
        (raw,) = db.execute("SELECT sum(last - first + 1) FROM parcel WHERE kind = 4").fetchone()
    assert raw == 2 * (len(changes) + 2)  # two axes: at each change, and after half an hour and an hour

    listed = edge("flight", "list", "--store", store)
    assert "ring" in listed.stdout
    assert "frozen: P-101/" in listed.stdout
    assert edge("flight", "export", "--store", store, "--out", tmp_path / "raw").returncode == 0
    assert (tmp_path / "raw" / "P-101.fwr").stat().st_size > 1_000_000

    copied = edge("state", "export", "--store", store, "--out", tmp_path / "state.json")
    assert copied.returncode == 0, copied.stderr
    taken = edge("state", "import", tmp_path / "state.json", "--store", tmp_path / "new")
    assert taken.stdout.endswith(": P-101\n"), taken.stderr
    again = edge("state", "import", tmp_path / "state.json", "--store", tmp_path / "new")
    assert again.returncode == 2


def test_a_webhook_secret_that_is_missing_is_found_before_the_device_runs(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    config = tmp_path / "site.toml"
    config.write_text(
        'device = "edge-7"\nstore = "store"\n[announce]\nwebhook = "http://127.0.0.1:1/"\nwebhook_secret = "secret"\n'
    )
    checked = edge("check", "--config", config)
    assert checked.returncode == 2
    assert str(tmp_path / "secret") in checked.stderr


@pytest.mark.parametrize("listen", ["0.0.0.0:8090", "8090", "10.0.0.1:80", "127.0.0.1:99999", "plant.example:80"])
def test_the_page_listens_on_the_loopback_or_not_at_all(listen: str) -> None:
    import msgspec

    from edge.board import PageConfig
    from edge.config import EdgeConfig, check_config
    from models.errors import ConfigurationError

    config = EdgeConfig(device="edge-7", store="store", page=PageConfig(listen=listen))
    with pytest.raises(ConfigurationError, match=re.escape("page.listen")):
        check_config(config, "site.toml")
    check_config(msgspec.structs.replace(config, page=PageConfig(listen="127.0.0.1:8090")), "site.toml")
