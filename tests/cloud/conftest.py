"""A cloud over an empty folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.wiring import Cloud
from tests.cloud.running import QUICK


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud over an empty folder, with short waits."""
    cloud = Cloud(tmp_path, QUICK)
    yield cloud
    cloud.close()
