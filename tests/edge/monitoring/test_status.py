"""What the agent tells the plant's monitoring and its service manager."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from edge.monitoring.health import HealthCheck
from edge.monitoring.meter import Meter
from edge.monitoring.notify import notify, watchdog_s
from edge.monitoring.status import StatusPage
from tests.edge.agent_process import AgentProcess
from tests.edge.gateway_simulator import GatewaySimulator

LINE = re.compile(r'forewarn_[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+')


def test_every_line_is_in_the_text_format_and_labels_are_escaped():
    meter = Meter()
    meter.add("windows_total", machine='P "1"\\\n')
    meter.add("windows_total", 2, machine="P-2")
    meter.ask("kept_bytes", lambda: {(): 1_234_567.0})
    meter.decided("P-2", 0.003)
    meter.decided("P-2", 7.0)
    lines = meter.text().splitlines()
    assert 'forewarn_windows_total{machine="P \\"1\\"\\\\\\n"} 1' in lines
    assert "forewarn_kept_bytes 1234567" in lines
    assert 'forewarn_decision_seconds_bucket{machine="P-2",le="0.002"} 0' in lines
    assert 'forewarn_decision_seconds_bucket{machine="P-2",le="0.005"} 1' in lines
    assert 'forewarn_decision_seconds_bucket{machine="P-2",le="+Inf"} 2' in lines
    assert 'forewarn_decision_seconds_sum{machine="P-2"} 7.003' in lines
    assert all(LINE.fullmatch(line) for line in lines if line[0] != "#" and "\\" not in line)


@pytest.mark.parametrize(
    ("request_line", "wrong", "status", "said"),
    [
        ("GET /healthz HTTP/1.1", [], 200, "ok"),
        ("GET /healthz HTTP/1.1", ["P-1: stuck"], 503, "P-1: stuck"),
        ("GET /metrics HTTP/1.0", [], 200, "# TYPE forewarn_windows_total counter"),
        ("GET /other HTTP/1.1", [], 404, "/metrics"),
        ("POST /metrics HTTP/1.1", [], 405, "GET"),
        ("nonsense", [], 405, "GET"),
    ],
)
def test_each_request_has_its_answer(request_line, wrong, status, said):
    async def ask() -> str:
        page = StatusPage(Meter(), lambda: wrong)
        port = await page.start(0)
        assert await StatusPage(Meter(), lambda: wrong).start(port) == 0, "a taken port is no error"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        await page.stop()
        return answer

    head, _, body = asyncio.run(ask()).partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert said in body
    assert f"Content-Length: {len(body)}" in head


def test_a_head_without_end_is_cut_off():
    async def ask() -> bytes:
        page = StatusPage(Meter(), list)
        reader, writer = await asyncio.open_connection("127.0.0.1", await page.start(0))
        writer.write(b"GET /" + b"x" * 10_000)
        try:
            return await asyncio.wait_for(reader.read(), 1.0)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
            await page.stop()

    assert asyncio.run(ask()) == b""


def asked(port: int, service: str = "") -> int:
    """The status that gRPC's own health client is told."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status


def test_grpcs_own_client_is_told_how_the_device_is():
    async def ask() -> None:
        wrong: list[str] = []
        check = HealthCheck(lambda: wrong)
        port = await check.start(0)
        assert await HealthCheck(lambda: wrong).start(port) == 0, "a taken port is no error"
        assert await asyncio.to_thread(asked, port) == health_pb2.HealthCheckResponse.SERVING
        wrong.append("P-1: stuck")
        assert await asyncio.to_thread(asked, port) == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as refused:
            await asyncio.to_thread(asked, port, "P-1")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        await check.stop()
        with pytest.raises(grpc.RpcError) as gone:
            await asyncio.to_thread(asked, port)
        assert gone.value.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(ask())


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's side of sd_notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening


def test_the_service_manager_hears_a_word_and_a_deaf_one_is_no_fault(manager, monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    notify("READY=1")
    assert manager.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    notify("READY=1")


@pytest.mark.parametrize(("usec", "pid", "every"), [("", None, None), ("4000000", None, 2.0), ("4000000", "1", None)])
def test_the_watchdog_is_fed_at_half_its_time_if_it_watches_this_process(monkeypatch, usec, pid, every):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert watchdog_s() == every


@pytest.fixture
def gateway() -> Iterator[GatewaySimulator]:
    simulator = GatewaySimulator()
    simulator.start()
    yield simulator
    simulator.close()


def values(port: int) -> dict[str, float]:
    """Each metric's value, summed over its labels."""
    found: dict[str, float] = {}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line[0] != "#":
                name, value = re.sub(r"\{.*\}", "", line).split()
                found[name] = found.get(name, 0) + float(value)
    return found


def all_stored(found: dict[str, float]) -> bool:
    """Whether 40 windows were taken and nothing of them is under way, neither before the outbox nor behind it."""
    stored, records = found.get("forewarn_stored_records_total", 0), found.get("forewarn_records_total", 0)
    return found.get("forewarn_windows_total") == 40 and not found["forewarn_kept_bytes"] and stored >= records


def test_a_running_agent_counts_every_leg_and_tells_its_manager(tmp_path, gateway, manager, monkeypatch):
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, health_port = free.getsockname()[1], other.getsockname()[1]
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    agent = AgentProcess(tmp_path, gateway, windows=40, tail=f"status_port = {port}\nhealth_port = {health_port}")
    agent.start("--stay")
    try:
        assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"WATCHDOG=1"
        deadline = time.monotonic() + 20
        found = values(port)
        while not all_stored(found):
            assert time.monotonic() < deadline, f"{found}\n{agent.said()}"
            time.sleep(0.05)
            found = values(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.read() == b"ok\n"
        assert asked(health_port) == health_pb2.HealthCheckResponse.SERVING
        agent.send(signal.SIGTERM)
        assert agent.wait() == 0
    finally:
        agent.kill()
    alarms = sum(len(shelf.alerts) for shelf in gateway.shelves.values())
    assert found["forewarn_stored_records_total"] == found["forewarn_records_total"] + alarms == len(gateway.stored)
    assert found["forewarn_sent_records_total"] >= found["forewarn_received_records_total"] > 0
    assert found["forewarn_connected"] == 1
    assert found["forewarn_decision_seconds_count"] == 40
    assert found["forewarn_quota_bytes"] == 1e9
    assert "stopped before all" not in agent.said()
