"""What only one kind of live source does, beside tests/contracts/test_source.py."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from edge.sensors import kinds
from edge.sensors.kinds import Wiring, understood
from edge.sensors.live import LiveSensor
from edge.types import Window
from models.errors import ConfigurationError, Unavailable, WrongUse
from tests.contracts.opcua_server import OpcUaServer

ONE = [{"name": "x", "rate_hz": 1000.0}]
GOOD = json.dumps({"channels": {"x": [1, 2, 3]}}).encode() + b"\n"


def opened(**keys: object) -> LiveSensor:
    sensor = understood({"channels": ONE, **keys}, "source").open(Wiring("P-101")).sensor
    assert isinstance(sensor, LiveSensor)
    return sensor


@contextlib.contextmanager
def heard(sensor: LiveSensor) -> Iterator[Iterator[Window]]:
    """Its windows; asking for the first one starts it."""
    try:
        yield sensor.windows()
    finally:
        sensor.close()


def dialled(path: Path) -> socket.socket:
    for _ in range(500):
        program = socket.socket(socket.AF_UNIX)
        program.settimeout(5)
        if program.connect_ex(str(path)) == 0:
            return program
        program.close()
        threading.Event().wait(0.01)
    raise AssertionError("nobody listens")


def pushing(path: Path, *lines: bytes) -> list[socket.socket]:
    """A program that connects as soon as the device listens, and sends."""
    programs: list[socket.socket] = []

    def push() -> None:
        programs.append(dialled(path))
        programs[0].sendall(b"".join(lines))

    threading.Thread(target=push, daemon=True).start()
    return programs


def test_a_line_that_is_too_long_is_refused_once_and_the_next_one_is_taken(tmp_path):
    sensor = opened(kind="push", listen=f"unix:{tmp_path / 's'}", longest_line_bytes=1024)
    programs = pushing(tmp_path / "s", b"x" * 300_000, b"\n", b"y" * 2000 + b"\n", GOOD)
    with heard(sensor) as windows:
        assert next(windows).samples["x"].tolist() == [1, 2, 3]
        answers = programs[0].makefile().readline()
        assert "longer than 1024 bytes" in json.loads(answers)["refused"]
        assert sensor.refused == 2


def test_a_new_program_takes_the_place_of_one_that_hangs(tmp_path):
    sensor = opened(kind="push", listen=f"unix:{tmp_path / 's'}")
    first = pushing(tmp_path / "s", GOOD + b'{"channels": ')
    with heard(sensor) as windows:
        next(windows)
        second = dialled(tmp_path / "s")
        second.sendall(GOOD)
        assert next(windows).samples["x"].size == 3
        assert first[0].recv(10) == b"", "the old one is told"
        assert sensor.refused == 0, "half a line of the old one is nobody's"


def test_a_socket_left_behind_is_taken_over_and_only_this_user_and_group_may_connect(tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "s"))
    left.close()
    programs = pushing(tmp_path / "s", GOOD)
    with heard(opened(kind="push", listen=f"unix:{tmp_path / 's'}")) as windows:
        next(windows)
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660
    programs[0].close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "s").write_text("mine")
    sensor = opened(kind="push", listen=f"unix:{tmp_path / 's'}")
    with pytest.raises(OSError, match="in use"):
        sensor.listen()
    assert (tmp_path / "s").read_text() == "mine"


@pytest.mark.parametrize("address", ["0.0.0.0:7070", "10.0.0.4:7070", "127.0.0.1", "localhost:x", "unix:", ""])
def test_an_address_that_others_could_reach_is_refused(address):
    with pytest.raises(ConfigurationError, match="loopback"):
        opened(kind="push", listen=address)


def test_silence_is_reported_once(tmp_path):
    with capture_logs() as logs:
        sensor = opened(kind="push", listen=f"unix:{tmp_path / 's'}", silent_seconds=0.02)
        threading.Timer(0.3, sensor.close).start()
        assert list(sensor.windows()) == []
    assert sum(line["event"] == "source is silent" for line in logs) == 1


def test_a_defect_is_raised_where_the_windows_are_taken_and_an_absence_is_not(tmp_path):
    sensor = opened(kind="push", listen=f"unix:{tmp_path / 's'}", longest_retry_seconds=0.01)
    tries: list[int] = []

    def listen() -> None:
        tries.append(1)
        raise Unavailable("gone") if len(tries) < 4 else ZeroDivisionError("a defect")

    sensor.listen = listen  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError), capture_logs() as logs:
        next(sensor.windows())
    assert len(tries) == 4
    assert sum(line["event"].startswith("source is away") for line in logs) == 1


@pytest.mark.parametrize(
    ("keys", "module"),
    [
        ({"kind": "mqtt", "host": "h", "topic": "t"}, "mqtt"),
        ({"kind": "opcua", "url": "opc.tcp://h", "channels": [{"name": "x", "rate_hz": 1e3, "node": "i=1"}]}, "opcua"),
    ],
)
def test_a_kind_whose_extra_is_missing_says_which_to_install(keys, module, monkeypatch):
    monkeypatch.setattr(f"edge.sensors.{module}.find_spec", lambda _: None)
    with pytest.raises(WrongUse, match=rf"pip install 'forewarn\[{module}\]'"):
        opened(**keys)


@pytest.mark.parametrize("topics", [{}, {"topic": "a/#"}, {"topic": "a", "channels": [{**ONE[0], "topic": "a"}]}])
def test_topics_must_be_there_and_name_one_thing_each(topics):
    with pytest.raises(ConfigurationError, match="topic"):
        opened(kind="mqtt", host="h", **topics)


def test_what_the_broker_retained_is_not_taken(mosquitto):
    from paho.mqtt.publish import single

    def publish(value: int, *, retain: bool) -> None:
        single("old/x", json.dumps([value]), qos=1, retain=retain, hostname="127.0.0.1", port=mosquitto.port)

    publish(1, retain=True)
    channels = [{**ONE[0], "topic": "old/x"}]
    with capture_logs() as logs:
        sensor = opened(kind="mqtt", host="127.0.0.1", port=mosquitto.port, channels=channels)

        def publish_when_connected() -> None:
            while not any(line["event"] == "source connected" for line in logs) and not sensor.closed.wait(0.01):
                pass
            publish(2, retain=False)

        threading.Thread(target=publish_when_connected, daemon=True).start()
        with heard(sensor) as windows:
            assert next(windows).samples["x"].tolist() == [2]


@pytest.fixture
def server() -> Iterator[OpcUaServer]:
    running = OpcUaServer()
    yield running
    running.kill()


def test_a_slow_value_that_an_opc_ua_server_does_not_report_again_holds_until_its_status_is_bad(server):
    """A server reports what changes: a speed that stays is told once, and a machine without one is not judged."""
    begun_ns = 1_800_000_000_000_000_000
    channels = [
        {**ONE[0], "node": "ns=2;s=horizontal"},
        {"name": "speed", "kind": "scalar", "unit": "rpm", "node": "ns=2;s=temperature"},
    ]
    server.write("temperature", 1480.0, begun_ns)
    sensor = opened(kind="opcua", url=server.url, publish_seconds=0.02, channels=channels)
    orders = [("horizontal", [i]) for i in (1, 2)] + [("temperature", 990.0), ("horizontal", [3]), ("horizontal", [4])]
    orders += [("temperature", None), ("horizontal", [5])]

    def operate() -> None:
        while not any(line["event"] == "source connected" for line in logs) and not sensor.closed.wait(0.01):
            pass
        for i, (node, value) in enumerate(orders, start=1):
            server.write(node, value, begun_ns + i * 1_000_000_000)

    with capture_logs() as logs, heard(sensor) as windows:
        threading.Thread(target=operate, daemon=True).start()
        taken = [next(windows).samples for _ in range(5)]
    speeds = [w["speed"].tolist() if "speed" in w else [] for w in taken]
    assert [w["x"].tolist() for w in taken] == [[1], [2], [3], [4], [5]]
    assert speeds == [[1480.0], [1480.0], [990.0], [990.0], []]


def test_two_packages_with_one_kind_are_refused(monkeypatch):
    class Entry:
        name = "twice"

    monkeypatch.setattr(kinds, "entry_points", lambda group: [Entry(), Entry()])
    with pytest.raises(ConfigurationError, match="two packages have a source kind 'twice'"):
        understood({"kind": "twice"}, "source")


def test_a_package_that_cannot_be_loaded_or_offers_something_else_is_a_configuration_error(monkeypatch):
    class Broken:
        name = "broken"

        def load(self) -> object:
            raise ImportError("No module named 'serial'")

    class Other(Broken):
        def load(self) -> object:
            return msgspec.Struct

    for entry, said in ((Broken(), "No module named 'serial'"), (Other(), "no SourceConfig")):
        monkeypatch.setattr(kinds, "entry_points", lambda group, entry=entry: [entry])
        with pytest.raises(ConfigurationError, match=said):
            understood({"kind": "broken"}, "source")


def test_a_password_stays_in_its_file(tmp_path):
    (tmp_path / "secret").write_text("geheim\n")
    sensor = opened(kind="mqtt", host="h", topic="t", username="u", password_file=str(tmp_path / "secret"))
    assert sensor._password == "geheim"
    with pytest.raises(ConfigurationError, match="password's file cannot be read"):
        opened(kind="mqtt", host="h", topic="t", username="u", password_file=str(tmp_path / "none"))
