"""Gateways as actors on the two nodes of a Ray cluster, with devices beside them, and what dies is killed with SIGKILL.

The nodes are processes of their own on this machine, each on an address of its own, and the commands are the ones that
a plant runs.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cloud.wiring import open_cloud
from tests.edge.device_simulator import DeviceSimulator
from tests.faults.history import in_cloud, remembered, violations
from tests.servers.processes import Child, free_ports
from tests.servers.ray_nodes import HOSTS, RayNodes

pytestmark = pytest.mark.timeout(600)  # a busy machine starts Ray slowly


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    started = RayNodes()
    yield started
    started.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "cloud"
    folder.mkdir()
    (folder / "cloud.toml").write_text(f'segment_seconds = 0.1\ngateway = "127.0.0.1:{free_ports()[0]}"\n')
    return folder


@pytest.fixture
def run(nodes: RayNodes, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts a Python program that may reach the cluster; what it says is in its log."""
    started: list[Child] = []

    def start(*arguments: object) -> Child:
        log = tmp_path / f"log-{len(started)}.txt"
        started.append(Child([sys.executable, "-m", *map(str, arguments)], log, env=nodes.environment))
        return started[-1]

    yield start
    for child in started:
        child.stop()


def serve(run: Callable[..., Child], nodes: RayNodes, data: Path) -> tuple[Child, list[str]]:
    """Start the command; it, and where its gateways listen."""
    command = run(*["forewarn", "cloud", "serve", "--on-ray", "--address"], nodes.address, "--data", data)
    command.wait_until(lambda: '{"gateways"' in command.log.read_text(), within_s=120)
    line = next(x for x in command.log.read_text().splitlines() if x.startswith('{"gateways"'))
    return command, json.loads(line)["gateways"]


def until(true: Callable[[], bool], what: str, within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as s:
        s.settimeout(5)
        return s.connect_ex((host, int(port))) == 0


def process_at(address: str) -> psutil.Process:
    host, _, port = address.rpartition(":")
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    (pid,) = {c.pid for c in listening if c.laddr.port == int(port) and c.laddr.ip.endswith(host)}
    return psutil.Process(pid)


def deliver(devices: list[DeviceSimulator]) -> None:
    until(lambda: not any(d.outbox.kept_bytes for d in devices), "not all is delivered")


def check(data: Path, devices: list[DeviceSimulator], tmp_path: Path) -> None:
    """All that was made is stored once."""
    memories = {
        f"dev-{n}": remembered(f"dev-{n}", tmp_path / f"dev-{n}" / "outbox.sqlite") for n in range(len(devices))
    }
    cloud = open_cloud(data)
    assert violations(memories, in_cloud(cloud), at_rest=True) == []
    cloud.close()


_OTHER_VERSION = """
import sys
import ray
ray.__version__ = "2.0.0"
from forewarn.cli import main
main(sys.argv[1:])
"""


def test_a_cluster_that_cannot_be_used_is_refused_in_one_line_and_runs_no_gateway(nodes, data, tmp_path, free_port):
    """Who has no token, another version, no cluster, or a node whose address is taken; CPUs are not asked for."""
    other = tmp_path / "token"
    other.write_text("0" * 64)
    other.chmod(0o600)
    stranger = {**nodes.environment, "RAY_AUTH_TOKEN_PATH": str(other)}
    nobody = {**nodes.environment, "RAY_AUTH_TOKEN_PATH": "", "HOME": str(tmp_path)}
    program = tmp_path / "other_version.py"
    program.write_text(_OTHER_VERSION)
    forewarn, there = ["-m", "forewarn"], nodes.address
    tried = {
        "does not let us in, or is no Ray cluster": (forewarn, there, stranger),
        "the Ray cluster does not let us in": (forewarn, there, nobody),
        "runs another version": ([program], there, nodes.environment),
        "no Ray cluster answers": (forewarn, f"{HOSTS[0]}:{free_port}", nodes.environment),
        "cannot listen on": (forewarn, there, nodes.environment),
    }
    port = free_ports()[0]
    with socket.create_server((HOSTS[1], port)):
        commands = {}
        for n, (what, (program, address, environment)) in enumerate(tried.items()):
            options = ["--address", address, "--data", data, "--gateway", f":{port}"]
            line = [sys.executable, *program, "cloud", "serve", "--on-ray", *options]
            commands[what] = Child(list(map(str, line)), tmp_path / f"refused-{n}.txt", env=environment)
        try:
            for what, command in commands.items():
                code, said = command.wait(120), command.log.read_text()
                assert code in {1, 2}, said
                (error,) = [x for x in said.splitlines() if x.startswith("forewarn: ")]
                assert what in error
                assert "Traceback" not in said
        finally:
            for command in commands.values():
                command.stop()
        until(lambda: not listens(f"{HOSTS[0]}:{port}"), "a gateway stayed where another one was refused")


def test_gateways_on_two_nodes_are_killed_under_load_and_devices_move_over(nodes, run, data, tmp_path):
    """Row 15, and the shutdown: the command ends its gateways kindly, and leaves no process."""
    command, gateways = serve(run, nodes, data)
    assert {a.rpartition(":")[0] for a in gateways} == set(HOSTS)
    devices = [DeviceSimulator(tmp_path / f"dev-{n}", gateways[n:] + gateways[:n], name=f"dev-{n}") for n in range(2)]
    for device in devices:
        device.connect()
    for n, gateway in enumerate(gateways):
        victim = process_at(gateway)
        for step in range(40):
            for device in devices:
                device.append(5, start=5 * (40 * n + step))
            if step == 20:
                devices[0].raise_alarm(f"P-101/{n}")
                victim.kill()
        deliver(devices)
        until(lambda: listens(gateway), f"{gateway} does not come back")  # noqa: B023 - called at once
        assert process_at(gateway).pid != victim.pid
    ends = [process_at(gateway) for gateway in gateways]
    command.terminate()
    assert command.wait(60) == 0, command.log.read_text()
    until(lambda: not any(p.is_running() for p in ends), "a gateway stayed")
    for device in devices:
        device.close()
    check(data, devices, tmp_path)


def test_the_heads_death_is_told_no_model_is_published_and_all_goes_on_with_a_new_head(nodes, run, data, tmp_path):
    """Row 32. Devices keep what they have, and find the gateways again in the same places."""
    command, gateways = serve(run, nodes, data)
    device = DeviceSimulator(tmp_path / "dev-0", gateways, name="dev-0")
    device.connect()
    device.append(20)
    deliver([device])
    options = ["--ray", nodes.address, "--publish"]
    training = run("tests.training.fleet_training", tmp_path / "training", *options)
    training.wait_until(lambda: "fit 1 of 11 on Ray" in training.log.read_text(), within_s=120)
    nodes.kill(HOSTS[0])
    assert (training.wait(120), command.wait(120)) == (1, 1)
    for child in (training, command):
        assert "the head of the Ray cluster is gone" in child.log.read_text()
    assert "published" not in training.log.read_text()
    until(lambda: not any(map(listens, gateways)), "a gateway outlives its cluster")
    device.append(20, start=20)
    assert device.outbox.kept_bytes
    nodes.start(HOSTS[0])
    command, again = serve(run, nodes, data)
    assert again == gateways[:1]
    resumed = run("tests.training.fleet_training", tmp_path / "training", *options)
    assert resumed.wait(240) == 0, resumed.log.read_text()
    (ended,) = re.findall(r"going on from (\d+) of 11 fits", resumed.log.read_text())
    assert len(re.findall(r"fit \d+ of \d+ on Ray", resumed.log.read_text())) == 11 - int(ended) < 11
    assert "published as a candidate" in resumed.log.read_text()
    deliver([device])
    device.close()
    command.stop(within_s=60)
    check(data, [device], tmp_path)
