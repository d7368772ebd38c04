"""A broker is answered only when a window is kept: what a kill takes in between is sent again, and kept once."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge import wire
from edge.config import RecordsConfig
from edge.detection import Detector
from edge.features import Extractor
from edge.machine.bundles import Bundles
from edge.machine.keeper import Keeper
from edge.machine.ledger import Ledger
from edge.machine.loop import MachineLoop
from edge.outbox import Kept, Outbox, Parcel
from edge.types import Kind, Quality, Window
from tests.contracts.sources import opened
from tests.servers.mosquitto import Mosquitto

NOW_NS = time.time_ns() - 3_600 * 10**9
CHANNEL = '{ name = "horizontal", unit = "g", rate_hz = 6400 }'
WINDOWS = range(1, 41)  # twice what the broker sends without an answer


class Killed(BaseException):
    """As a power cut ends the sampling thread: nothing after it is done."""


class Device:
    """One machine's loop over a real broker; each run is a process's life over the same store."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self._broker = broker
        self._topic = f"kept-{folder.parent.name}-{folder.name}"
        self._source = (
            f'kind = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\ntopic = "{self._topic}"\n'
            f'client_id = "{self._topic}"\nlongest_retry_seconds = 0.1\nchannels = [{CHANNEL}]'
        )

    def run(self, until: Callable[[Device], bool], *, die_at: int | None = None, before: bool = True) -> None:
        """Listen until something is so, or to the death at a commit, before or after it is on the disk."""
        outbox = Outbox(self.folder / "outbox.sqlite", gap=wire.gap_parcel)
        self.outbox, stopping = outbox, threading.Event()
        if die_at is not None:
            outbox.append = dying(outbox.append, die_at, before=before)  # type: ignore[method-assign]
        source = opened(self.folder / "site", self._source)
        self.sensor: Any = source.sensor
        machine = source.sensor.machine
        keeper = Keeper(
            outbox,
            Ledger(None),
            replay=False,
            hurried=False,
            simulated=False,
            high_water_bytes=1 << 30,
            stopping=stopping,
        )
        loop = MachineLoop(
            source,
            Extractor(machine),
            Detector(machine),
            keeper,
            outbox,
            Bundles(),
            RecordsConfig(),
            stopping=stopping,
            wait_for_bundle=False,
        )
        died: list[BaseException] = []
        thread = threading.Thread(target=lambda: _caught(loop.run, died), daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while thread.is_alive() and not until(self):
            assert time.monotonic() < deadline, self.kept()
            time.sleep(0.01)
        stopping.set()
        source.sensor.close()
        thread.join(10)
        assert not thread.is_alive()
        assert [type(e) for e in died] == ([Killed] if die_at is not None else [])

    def publish(self) -> None:
        from paho.mqtt.publish import multiple

        payloads = [json.dumps({"time_ns": NOW_NS + i * 10**9, "channels": {"horizontal": [i] * 128}}) for i in WINDOWS]
        messages: list[Any] = [{"topic": self._topic, "payload": p, "qos": 1} for p in payloads]
        multiple(messages, hostname="127.0.0.1", port=self._broker.port)

    def kept(self) -> Counter[int]:
        """How often each window is kept."""
        found: Counter[int] = Counter()
        for entry in self.outbox.read(0, 1 << 62, 1 << 30):
            if entry.kind is Kind.HEALTH:
                for i in range(entry.last - entry.first + 1):
                    at = int.from_bytes(wire.numbered(entry).event_time[8 * i : 8 * i + 8], "little")
                    found[(at - NOW_NS) // 10**9] += 1
        return found


def dying(append: Callable[..., Kept], at: int, *, before: bool) -> Callable[..., Kept]:
    calls = 0

    def die(parcels: list[Parcel], state: dict[str, bytes]) -> Kept:
        nonlocal calls
        calls += 1
        if calls >= at and before:
            raise Killed
        kept = append(parcels, state)
        if calls >= at:
            raise Killed
        return kept

    return die


def _caught(run: Callable[[], None], died: list[BaseException]) -> None:
    try:
        run()
    except BaseException as e:  # noqa: BLE001 - the test looks at it
        died.append(e)


@pytest.fixture
def device(tmp_path: Path, mosquitto: Mosquitto) -> Device:
    return Device(tmp_path, mosquitto)


@pytest.mark.parametrize("before", [True, False], ids=["before it is kept", "before it is answered"])
def test_what_a_kill_takes_between_receipt_and_keep_is_sent_again_and_kept_once(device: Device, before: bool) -> None:
    device.run(lambda d: d.sensor._away is False)  # subscribes: from now on the broker keeps what comes
    device.outbox.close()
    device.publish()
    for die_at in (1, 3, 8):
        device.run(lambda _: False, die_at=die_at, before=before)
        device.outbox.close()
    device.run(lambda d: len(d.kept()) == len(WINDOWS))
    assert device.kept() == dict.fromkeys(WINDOWS, 1)
    device.outbox.close()


def test_what_is_sent_again_on_a_new_connection_is_taken_once_and_answered_then(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    device = Device(tmp_path, mosquitto)
    source = opened(tmp_path / "site", device._source)
    sensor: Any = source.sensor
    taken: list[Window] = []
    thread = threading.Thread(target=lambda: [taken.append(w) for w in sensor.windows()], daemon=True)
    thread.start()
    eventually(lambda: sensor._away is False)
    device.publish()
    eventually(lambda: len(sensor._answers) == 20)  # all that the broker sends without an answer
    take_over(device._topic, mosquitto.port, lambda: sensor._away is True)
    eventually(lambda: sensor._away is False and len(sensor._answers) == 20)
    source.kept(1 << 62)
    eventually(lambda: not len(sensor._answers) and len(taken) == len(WINDOWS))
    sensor.close()
    thread.join(10)
    assert [(w.time_ns - NOW_NS) // 10**9 for w in taken] == list(WINDOWS)
    assert {w.quality for w in taken} == {Quality.GOOD}  # none looks like a clock that was set back


def take_over(client_id: str, port: int, gone: Callable[[], bool]) -> None:
    """Another connection of the same name: the broker ends the first, and answers nothing for it."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    other = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True)
    other.connect("127.0.0.1", port)
    eventually(lambda: bool(other.loop(0.05)) or gone())
    other.disconnect()


def eventually(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)
