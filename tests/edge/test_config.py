from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.bearing.frequencies import fault_frequencies
from edge.config import CloudLinkConfig, EdgeConfig, check_config, load_config, zones_of
from edge.reference import reference
from edge.sources import open_sources
from models.errors import ConfigurationError

GOOD = """
device = "edge-7"
site = "Werk 2"
store = "store"
gateways = ["gateway-1:7443", "gateway-2:7443"]
[[machine]]
name = "P-101"
class = "pump"
source = { kind = "simulator", fault = "unbalance" }
[[machine]]
name = "Bearing1_1"
source = { kind = "replay", path = "recordings" }
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "site.toml"
    file.write_text(text)
    return file


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.store == str(tmp_path / "store")
    assert config.machine[1].source.path == str(tmp_path / "recordings")
    assert config.machine[0].machine_class == "pump"
    assert config.trust == ""
    check_config(config, "site.toml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('class = "pump"', 'clas = "pump"'), "unknown field `clas` - at `$.machine[0]`"),
        (('kind = "simulator"', 'kind = "modbus"'), "Invalid value 'modbus' - at `$.machine[0].source.kind`"),
        (('site = "Werk 2"', "site = 2"), "Expected `str`, got `int` - at `$.site`"),
        (('device = "edge-7"', 'device = "edge-7'), "line 2"),
        (('device = "edge-7"', ""), "missing required field `device`"),
        (("[[machine]]", "[outbox]\nquota_bytes = 5\n[[machine]]"), "$.outbox.quota_bytes"),
    ],
)
def test_a_wrong_key_is_refused_with_file_and_path(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    file = write(tmp_path, GOOD.replace(*change, 1))
    with pytest.raises(ConfigurationError) as refused:
        load_config(file)
    assert refused.value.where == str(file)
    assert said in refused.value.what


LIVE = """
device = "edge-7"
[[machine]]
name = "P-101"
[machine.source]
kind = "push"
listen = "127.0.0.1:7070"
speed_rpm = 1485
bearing = "SKF 6205-2RS JEM"
channels = [{ name = "drive end", unit = "g", rate_hz = 25600, scale = 0.000488 }]
[detection]
every_s = 10.0
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ('"SKF 6205-2RS JEM"', "{ balls = 9, ball_diameter = 39, pitch_diameter = 8 }"),
            "is not below pitch_diameter",
        ),
        (('"SKF 6205-2RS JEM"', "{ balls = 99, ball_diameter = 8, pitch_diameter = 39 }"), "so many balls do not fit"),
        ((", rate_hz = 25600", ""), "'drive end' needs its `rate_hz`"),
        (("rate_hz = 25600", "rate_hz = inf"), "$.machine[0].source.channels[0].rate_hz"),
        (("scale = 0.000488", "scale = 0"), "'drive end' has a `scale` of 0"),
        (("speed_rpm = 1485", "speed_rpm = inf"), "$.machine[0].source.speed_rpm"),
        (("every_s = 10.0", "every_s = nan"), "every_s and smallest_scale must be above 0 - at `$.detection`"),
    ],
)
def test_a_wiring_that_cannot_be_true_is_refused(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert load_config(write(tmp_path, LIVE)).machine
    with pytest.raises(ConfigurationError) as refused:
        load_config(write(tmp_path, LIVE.replace(*change, 1)))
    assert said in refused.value.what


def test_a_bearing_is_known_by_its_makers_number_or_by_its_geometry(tmp_path: Path) -> None:
    numbers = (
        '"SKF 6205-2RS JEM"',
        '"skf 6205 2rs-jem"',
        "{ balls = 9, ball_diameter = 7.94, pitch_diameter = 39.04 }",
    )
    configs = [load_config(write(tmp_path, LIVE.replace(numbers[0], number))) for number in numbers]
    one, other, described = (open_sources(c.machine)[0].sensor.machine.bearing for c in configs)
    assert one == other == described
    assert one is not None
    shown = fault_frequencies(one, 60.0)  # as the Bearing Data Center publishes them, for a shaft of 1 Hz
    assert [shown[line] for line in ("bpfo", "bpfi", "ftf")] == pytest.approx([3.5848, 5.4152, 0.39828], rel=1e-3)
    assert 2 * shown["bsf"] == pytest.approx(4.7135, rel=1e-3)


def test_an_unknown_number_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, LIVE.replace("SKF 6205-2RS JEM", "ACME 1")))
    with pytest.raises(ConfigurationError, match="no bearing 'ACME 1' in the catalogue") as refused:
        open_sources(config.machine)
    assert refused.value.where == "machine P-101"
    assert "LDK UER204" in refused.value.mend


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device": "../evil"}, "device is '../evil'"),
        ({"device": "x" * 65}, "device is"),
        ({"site": "a\u202eb"}, "site is"),
        ({"enterprise": "nul\0"}, "enterprise is"),
        ({"gateways": ("nohost",)}, "gateways has 'nohost'"),
        ({"gateways": ("host:99999",)}, "gateways has 'host:99999'"),
        ({"gateways": ()}, "no gateways"),
        ({"store": ""}, "no store"),
        ({"cloud": CloudLinkConfig(ca="ca", certificate="c")}, "cloud.certificate without cloud.key"),
        ({"cloud": CloudLinkConfig(ca="ca", key="k")}, "cloud.certificate without cloud.key"),
        ({"cloud": CloudLinkConfig(certificate="c", key="k")}, "cloud.certificate without cloud.ca"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_opened(tmp_path: Path, change: dict, said: str) -> None:
    config = msgspec.structs.replace(load_config(write(tmp_path, GOOD)), **change)
    with pytest.raises(ConfigurationError) as refused:
        check_config(config, "here")
    assert said in refused.value.what
    assert refused.value.mend


def test_a_machine_may_be_there_once(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD.replace("Bearing1_1", "P-101")))
    with pytest.raises(ConfigurationError, match="'P-101' is there twice"):
        check_config(config, "here")


def test_zones_of_a_group_that_is_not_in_the_file_are_refused(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    machine = msgspec.structs.replace(config.machine[0], zones="group-9")
    with pytest.raises(ConfigurationError, match="'group-9'"):
        check_config(msgspec.structs.replace(config, machine=(machine,)), "here")
    right = msgspec.structs.replace(machine, zones="iso10816-1-class1")
    found = zones_of(msgspec.structs.replace(config, machine=(right,)), machine.name)
    assert found is not None
    assert found.limits_mm_s == (0.71, 1.8, 4.5)


def test_the_reference_in_the_documentation_is_that_of_the_code(repository: Path) -> None:
    """To mend it: `python -m edge.reference`, and paste."""
    text = (repository / "docs" / "configuration.md").read_text()
    begin, end = "<!-- edge keys: python -m edge.reference -->\n", "<!-- end of edge keys -->"
    assert text.partition(begin)[2].partition(end)[0].strip() == reference().strip()


def test_every_key_says_what_it_means() -> None:
    for field in msgspec.structs.fields(EdgeConfig):
        if not isinstance(field.default, msgspec.Struct):
            line = next(x for x in reference().splitlines() if x.startswith(f"- `{field.encode_name}`"))
            assert ": " in line, line
