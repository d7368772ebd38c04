"""What tests of all areas share: the recordings, free ports, and real servers that are started once a run.

Two workers share the suite (pytest-xdist), a file at a time, each with servers of its own.

A server that is not installed skips its tests and says so. With FOREWARN_TEST_ALL=1, as in CI, it fails them instead:
a skipped test is then a broken build machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

from tests.servers import ceph
from tests.servers import chromium as browser
from tests.servers import mosquitto as broker
from tests.servers import postgres as pg
from tests.servers.processes import free_ports

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, the whole loop, so that the other worker does the rest beside it."""
    items.sort(key=lambda item: "system" not in item.path.parts)


@pytest.fixture(autouse=True)
def logs_as_they_are() -> Iterator[None]:
    """A command that sets up logging in this process does so for its own test only."""
    yield
    structlog.reset_defaults()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the points at which processes died in the tests of row 12."""
    reports = terminalreporter.getreports("passed")
    points = [str(value) for r in reports for name, value in r.user_properties if name == "crash point"]
    if points:
        terminalreporter.section(f"{len(points)} crash points, died at each, nothing lost or doubled")
        terminalreporter.write_line("; ".join(points))


def _missing(reason: str) -> NoReturn:
    if os.environ.get("FOREWARN_TEST_ALL") == "1":
        pytest.fail(f"{reason}, and FOREWARN_TEST_ALL=1 says that nothing may be skipped for it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of public run-to-failure recordings (pronostia, cwru, ...)."""
    folder = Path(os.environ.get("FOREWARN_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}; FOREWARN_DATA_DIR names another folder")
    return folder


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback that nothing listens on; where a program takes port 0, use that instead."""
    return free_ports()[0]


@pytest.fixture(scope="session")
def postgres() -> Iterator[pg.Postgres]:
    """A PostgreSQL server; `create_database()` gives the SQLAlchemy URL of an empty database."""
    programs = pg.find_programs()
    if programs is None:
        _missing("PostgreSQL is not installed (Debian: postgresql)")
    server = pg.Postgres(programs)
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[ceph.Ceph]:
    """A Ceph S3 server; `create_bucket()` gives an empty bucket's name."""
    if not ceph.installed():
        _missing("Ceph is not installed (Debian: ceph-mon ceph-osd radosgw ceph-common)")
    server = ceph.Ceph()
    yield server
    server.close()


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[broker.Mosquitto]:
    """An MQTT broker on `port` of the loopback."""
    program = broker.find_program()
    if program is None:
        _missing("mosquitto is not installed (Debian: mosquitto)")
    server = broker.Mosquitto(program)
    yield server
    server.close()


@pytest.fixture(scope="session")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.webdriver.Chrome]:
    if not browser.installed():
        _missing("Chromium is not installed (Debian: chromium chromium-driver)")
    driver = browser.open_browser(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def chromium(_browser: browser.webdriver.Chrome) -> browser.webdriver.Chrome:
    """A headless browser on an empty page of 1280 x 900, without what an earlier test left in it."""
    _browser.get("about:blank")
    _browser.delete_all_cookies()
    _browser.set_window_size(1280, 900)
    for kind in ("browser", "performance"):
        _browser.get_log(kind)  # reading empties it
    return _browser


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Ray cluster of two CPUs, guarded by a token; gives its address, to which this process is connected."""
    token = tmp_path_factory.mktemp("ray") / "token"
    token.write_text(os.urandom(32).hex())
    token.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        # `local`: never another cluster that happens to run on this machine
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()
