"""What gateways on a cluster ask of it before any is started. The cluster itself: tests/system/test_on_ray.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud import on_ray
from cloud.config import CloudConfig, S3Config
from models.errors import ConfigurationError

S3 = S3Config(endpoint="store:9000", bucket="forewarn", access_key="key")
SHARED = CloudConfig(database="postgresql+pg8000://db/forewarn", s3=S3)


@pytest.mark.parametrize("config", [CloudConfig(), CloudConfig(s3=S3), CloudConfig(database=SHARED.database)])
def test_several_machines_need_a_database_and_a_store_that_all_of_them_reach(monkeypatch, tmp_path: Path, config):
    monkeypatch.setattr(on_ray, "_nodes", lambda: [{"NodeManagerHostname": name} for name in ("one", "two")])
    with pytest.raises(ConfigurationError, match=r"2 machines.*set `database` and `\[s3\]`"):
        on_ray._check_shared(tmp_path, config)


@pytest.mark.parametrize(("machines", "config"), [(("one", "one"), CloudConfig()), (("one", "two"), SHARED)])
def test_two_nodes_of_one_machine_may_share_its_folder(monkeypatch, tmp_path: Path, machines, config):
    monkeypatch.setattr(on_ray, "_nodes", lambda: [{"NodeManagerHostname": name} for name in machines])
    on_ray._check_shared(tmp_path, config)
