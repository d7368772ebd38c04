"""What the compose file gives its containers is what our programs read."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from cloud.config import CloudConfig
from edge.config import load_config
from forewarn.cli import COMMANDS


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict:
    return yaml.safe_load((repository / "compose.yaml").read_text())


def test_every_device_of_the_compose_file_has_a_configuration_that_the_agent_takes(compose, tmp_path):
    devices = {name: config["content"] for name, config in compose["configs"].items() if name.startswith("edge")}
    assert len(devices) == 2
    for name, text in devices.items():
        file = tmp_path / f"{name}.toml"
        file.write_text(text)
        config = load_config(file)
        assert config.device == name
        assert {*config.gateways} == {f"{name}:7443" for name in compose["services"] if name.startswith("gateway")}


def test_the_clouds_configuration_in_the_compose_file_is_one_that_it_takes(compose):
    text = re.sub(r"\$\{\w+:\?[^}]*\}", "secret", compose["configs"]["cloud"]["content"])
    config = msgspec.toml.decode(text, type=CloudConfig)
    assert config.database == "postgresql+pg8000://forewarn:secret@postgres/forewarn"
    assert config.s3 is not None
    assert config.s3.endpoint == "s3:8333"


def test_every_command_of_the_compose_file_exists(compose):
    ours = [s["command"] for s in compose["services"].values() if s.get("image") == "forewarn-cloud"]
    assert {c[0] for c in ours if len(c) > 1} <= set(COMMANDS)


def test_no_container_of_ours_runs_as_root_and_each_says_how_it_is(repository):
    stages = re.split(r"(?m)^FROM ", (repository / "Dockerfile").read_text())
    roles = {s.split()[2]: s for s in stages[1:] if s.split()[2] in ("edge", "cloud", "training")}
    assert set(roles) == {"edge", "cloud", "training"}
    for text in roles.values():
        assert re.search(r"(?m)^USER [1-9]\d*$", text)
        assert "\nHEALTHCHECK " in text
