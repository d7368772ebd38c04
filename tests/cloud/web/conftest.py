"""The pages of a small fleet, on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cloud.web.app import create_app
from tests.cloud.web.seeding import Fleet, usual_fleet
from tests.cloud.web.serving import serving


@dataclass(frozen=True)
class Pages:
    """A fleet, and a client that speaks to its pages as a browser does on the same origin."""

    fleet: Fleet
    http: httpx.Client
    url: str


def _pages(fleet: Fleet) -> Iterator[Pages]:
    with serving(create_app(fleet.cloud)) as url, httpx.Client(base_url=url, headers={"origin": url}) as http:
        yield Pages(fleet, http, url)
    fleet.cloud.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The usual fleet; tests that use it change nothing."""
    yield from _pages(usual_fleet(tmp_path_factory.mktemp("cloud")))


@pytest.fixture
def own_pages(tmp_path: Path) -> Iterator[Pages]:
    """An empty fleet of this test's own."""
    yield from _pages(Fleet(tmp_path))
