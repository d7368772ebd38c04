"""The facts are true: each is found on a device that has the fault."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import pytest
from click.testing import CliRunner

from cloud.gateway.wire import read_hello
from edge import wire
from edge.config import EdgeConfig, MachineConfig
from edge.doctor import examine, gather
from edge.outbox import Outbox, Parcel, StoreLock
from edge.sensors.made import SimulatorSource
from edge.types import Kind
from forewarn.commands import doctor as command
from models.errors import WrongUse
from tests.edge.gateway_simulator import GatewaySimulator


@pytest.fixture
def gateway() -> Iterator[GatewaySimulator]:
    simulator = GatewaySimulator()
    simulator.start()
    yield simulator
    simulator.close()


@pytest.fixture
def config(tmp_path: Path) -> EdgeConfig:
    (tmp_path / "store").mkdir()
    machine = MachineConfig(name="P-101", source=SimulatorSource(speed=0.0, life_seconds=50.0))
    return EdgeConfig(device="edge-7", store=str(tmp_path / "store"), machine=(machine,))


def facts(config: EdgeConfig, listen_s: float = 1.0):
    return gather.gather(config, listen_s=listen_s)


def names(config: EdgeConfig, listen_s: float = 1.0) -> set[str]:
    return {f.name for f in examine(facts(config, listen_s))}


def test_a_simulated_machine_is_heard_and_has_no_sensor_fault(config):
    (sensor,) = facts(config).sensors
    assert len(sensor.windows) == 5
    assert not {n for n in names(config) if n.startswith(("sensor", "rate", "windows", "slow", "times", "channel"))}


def test_a_damaged_outbox_is_found_and_left_as_it_is(config):
    file = Path(config.store) / "outbox.sqlite"
    outbox = Outbox(file, gap=wire.gap_parcel)
    outbox.append([Parcel(Kind.HEALTH, 1, bytes(50_000))])
    outbox.close()
    assert facts(config).store.kept_bytes > 50_000
    data = bytearray(file.read_bytes())
    data[100:4096] = bytes(3996)
    file.write_bytes(data)
    assert "outbox-damaged" in names(config)
    assert file.read_bytes() == data


def test_a_held_store_is_named_and_its_sensors_are_left_alone(config):
    with StoreLock(Path(config.store)):
        found = facts(config)
    assert found.store.holder.startswith("process ")
    assert found.sensors[0].windows == ()
    assert facts(config).store.holder == ""


def test_a_missing_store_is_not_made(config, tmp_path):
    assert "store-missing" in names(msgspec.structs.replace(config, store=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no root.json"),
        ("[]", "no root.json"),
        (json.dumps({"signed": {"_type": "targets"}}), "is the targets"),
        (json.dumps({"signed": {"_type": "root"}}), "expires"),
    ],
)
def test_a_file_that_is_no_root_is_named(tmp_path, text, said):
    file = tmp_path / "root.json"
    file.write_text(text)
    assert said in gather.trust_facts(str(file)).fault


def test_the_end_of_a_root_is_read(tmp_path):
    file = tmp_path / "root.json"
    file.write_text(json.dumps({"signed": {"_type": "root", "expires": "2027-01-01T00:00:00Z"}}))
    assert gather.trust_facts(str(file)).expires_s == 1_798_761_600.0


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path):
    here = tmp_path / "a b"
    here.mkdir()
    point = str(here).replace(" ", "\\040")
    mounts = f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / {point} rw shared:1 - tmpfs tmpfs rw\n"
    assert gather.file_system_of(here / "store", mounts) == "tmpfs"
    assert gather.file_system_of(tmp_path, mounts) == "ext4"


def test_a_broken_slot_is_named(config):
    slot = Path(config.store) / "models" / "classes" / "pump"
    slot.mkdir(parents=True)
    (slot / "current").symlink_to("a")
    (found,) = facts(config).slots
    assert found.machine_class == "pump"
    assert "damaged" in found.fault


def test_a_gateway_is_told_from_a_closed_port_and_from_no_name(config, gateway):
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        gateways = (gateway.address, f"127.0.0.1:{bound.getsockname()[1]}", "gateway.invalid:1")
        good, closed, unnamed = facts(msgspec.structs.replace(config, gateways=gateways), 0).gateways
    assert good == gather.GatewayFacts(address=gateway.address)
    assert closed.connect_fault
    assert unnamed.name_fault


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "gateway-version"),
        (grpc.StatusCode.PERMISSION_DENIED, "gateway-refuses"),
        (grpc.StatusCode.UNIMPLEMENTED, "gateway-wrong-port"),
    ],
)
def test_what_a_gateway_refuses_is_named(config, gateway, status, name):
    gateway.faults.refuse_hello = status
    assert name in names(msgspec.structs.replace(config, gateways=(gateway.address,)), 0)


def test_the_real_gateway_refuses_the_doctors_hello_only_after_version_and_enterprise():
    def hello(enterprise: str, version: int) -> None:
        request = wire.hello(
            enterprise=enterprise, site="s", device="d", epoch=0, head=0, kept=(), software_version="", machines=()
        )
        request.hello.protocol_version = request.hello.oldest_protocol_version = version
        with pytest.raises(WrongUse) as refused:
            read_hello(request.hello, "demo")
        raise refused.value

    for enterprise, version, kind in (("demo", 9, "VersionMismatch"), ("x", 1, "Refused"), ("demo", 1, "WrongUse")):
        with pytest.raises(WrongUse) as refused:
            hello(enterprise, version)
        assert type(refused.value).__name__ == kind


@pytest.mark.parametrize(("change", "code"), [({}, 0), ({"log_level": "debug"}, 0), ({"clock_s": 0.0}, 1)])
def test_hints_leave_a_device_healthy_and_faults_do_not(monkeypatch, change, code):
    found = gather.Facts(host=gather.Host(**{"clock_s": 1.8e9} | change))
    monkeypatch.setattr(gather, "gather", lambda *_, **__: found)
    done = CliRunner().invoke(command.doctor, ["--json"])
    assert done.exit_code == code
    said = json.loads(done.stdout)
    assert said["healthy"] is (code == 0)
    assert len(said["findings"]) == len(change)


def test_a_wrong_file_is_wrong_use(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text("device = 1")
    with pytest.raises(WrongUse):
        CliRunner().invoke(command.doctor, ["--config", str(file)], catch_exceptions=False)


def test_the_outbox_is_checked_without_taking_the_agents_turn(config):
    """A writer that holds its transaction does not keep the doctor waiting."""
    file = Path(config.store) / "outbox.sqlite"
    outbox = Outbox(file, gap=wire.gap_parcel)
    with sqlite3.connect(file, isolation_level=None) as busy:
        busy.execute("BEGIN IMMEDIATE")
        assert facts(config, 0).store.outbox_fault == ""
        busy.execute("ROLLBACK")
    outbox.close()
