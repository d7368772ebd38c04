"""The sources under contract: each drives the other side of one kind, so that one suite judges them all."""

from __future__ import annotations

import json
import socket
import threading
import time
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edge.config import load_config
from edge.sensors.kinds import Source
from edge.sources import open_sources
from models.errors import ForewarnError
from tests.contracts.opcua_server import OpcUaServer
from tests.servers.mosquitto import Mosquitto

SAMPLES = 128
RATE_HZ = 6400
START_NS = 1_767_225_600_000_000_000
CHANNELS = """channels = [
  { name = "horizontal", unit = "g", rate_hz = 6400, scale = 0.001 %s },
  { name = "temperature", kind = "scalar", unit = "C" %s },
]"""


def opened(folder: Path, source: str) -> Source:
    """The source that a device's file with this table opens, as the agent opens it."""
    folder.mkdir(exist_ok=True)
    file = folder / "site.toml"
    file.write_text(f'device = "d"\n[[machine]]\nname = "P-101"\n[machine.source]\n{source}\n')
    return open_sources(load_config(file).machine)[0]


class Case:
    """One kind; `lengths` are the samples of each channel in a whole window."""

    lengths: Mapping[str, int]
    live = False
    scale: float | None = None  # units a count, where a window's i-th waveform is i counts

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def toml(self) -> str:
        raise NotImplementedError

    def open(self) -> Source:
        return opened(self.folder, self.toml())

    def ready(self, heard: Callable[[], bool]) -> None:
        """Called once `windows` runs, before the first `feed`; `heard` says that the source is connected."""

    def feed(self, index: int) -> None:
        """Make the `index`-th window; recordings have theirs already."""

    def close(self) -> None:
        """End the other side."""


class SimulatorCase(Case):
    lengths = MappingProxyType({"horizontal": 2560, "vertical": 2560, "temperature": 10})

    def toml(self) -> str:
        return 'kind = "simulator"\nspeed = 0\nfault = "none"'


class RecordingCase(Case):
    """A file of 20 windows of one waveform; `bad` lies beside it."""

    suffix: str
    channel = "vibration"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lengths = {self.channel: SAMPLES}
        self.recordings = folder / "recordings"
        self.recordings.mkdir()
        file = self.recordings / f"P-101{self.suffix}"
        self.write(file, np.random.default_rng(1).integers(-3000, 3000, 20 * SAMPLES).astype(np.int16))
        file.with_suffix(".toml").write_text(f"window_samples = {SAMPLES}\nrate_hz = {RATE_HZ}\n")

    def toml(self) -> str:
        return f'kind = "replay"\npath = "{self.recordings}"'

    def write(self, file: Path, counts: np.ndarray) -> None:
        raise NotImplementedError

    def spoil(self) -> Path:
        """A bad recording beside the good one."""
        bad = self.recordings / f"other{self.suffix}"
        whole = (self.recordings / f"P-101{self.suffix}").read_bytes()
        bad.write_bytes(whole[: len(whole) // 3])
        return bad


class WavCase(RecordingCase):
    suffix = ".wav"

    def write(self, file: Path, counts: np.ndarray) -> None:
        with wave.open(str(file), "wb") as out:
            out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            out.writeframes(counts.tobytes())


class CsvCase(RecordingCase):
    suffix = ".csv"

    def write(self, file: Path, counts: np.ndarray) -> None:
        file.write_text("vibration\n" + "\n".join(map(str, counts.tolist())) + "\n")

    def spoil(self) -> Path:
        bad = self.recordings / "other.csv"
        bad.write_text("vibration\n1\nnothing\n")
        return bad


class ParquetCase(RecordingCase):
    suffix = ".parquet"

    def write(self, file: Path, counts: np.ndarray) -> None:
        pq.write_table(pa.table({"vibration": counts}), file)


class NpyCase(RecordingCase):
    suffix = ".npy"

    def write(self, file: Path, counts: np.ndarray) -> None:
        np.save(file, counts)


class NpzCase(RecordingCase):
    suffix = ".npz"

    def write(self, file: Path, counts: np.ndarray) -> None:
        np.savez_compressed(file, vibration=counts, rate_hz=float(RATE_HZ))


class LiveCase(Case):
    """A source whose other side can go away and come back, and say nonsense."""

    lengths = MappingProxyType({"horizontal": SAMPLES, "temperature": 1})
    live = True
    scale = 0.001
    keys = "silent_seconds = 30\nbuffer_windows = 8\nlongest_retry_seconds = 0.2\n"

    def bad(self) -> None:
        raise NotImplementedError

    def vanish(self) -> None:
        raise NotImplementedError

    def come_back(self, heard: Callable[[], bool]) -> None:
        raise NotImplementedError


def measurement(index: int) -> dict[str, Any]:
    """The JSON of one window: the waveform is `index` counts, so that a window says which one it is."""
    return {
        "time_ns": START_NS + index * 1_000_000_000,
        "channels": {"horizontal": [index] * SAMPLES, "temperature": 40.5},
    }


class PushCase(LiveCase):
    """Over a Unix socket."""

    address = "unix:p.sock"

    def toml(self) -> str:
        return f'kind = "push"\nlisten = "{self.address}"\n{self.keys}{CHANNELS % ("", "")}'

    def dial(self) -> socket.socket:
        there = socket.socket(socket.AF_UNIX)
        there.settimeout(5)
        there.connect(str(self.folder / "p.sock"))
        return there

    def ready(self, heard: Callable[[], bool]) -> None:
        self.program: socket.socket | None = None

        def dialled() -> bool:
            if self.program is None:
                try:
                    self.program = self.dial()
                except OSError:
                    return False
            return heard()

        until(dialled)

    def send(self, line: bytes) -> None:
        assert self.program is not None
        self.program.sendall(line + b"\n")

    def feed(self, index: int) -> None:
        self.send(json.dumps(measurement(index)).encode())

    def bad(self) -> None:
        self.send(b'{"channels": {"horizontal": "loud"}}')

    def vanish(self) -> None:
        assert self.program is not None
        self.program.close()

    def come_back(self, heard: Callable[[], bool]) -> None:
        self.ready(heard)

    def close(self) -> None:
        if getattr(self, "program", None) is not None:
            self.program.close()


class TcpPushCase(PushCase):
    """Over the loopback."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder)
        self.port = port
        self.address = f"127.0.0.1:{port}"

    def dial(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 5)


class MqttCase(LiveCase):
    """Whole measurements on one topic of a real broker."""

    topics = ("", "")

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        super().__init__(folder)
        self.broker = broker
        self.prefix = f"plant/{folder.name}"  # nobody else's on a broker that all tests share

    def toml(self) -> str:
        return (
            f'kind = "mqtt"\nhost = "127.0.0.1"\nport = {self.broker.port}\ntopic = "{self.prefix}/window"\n'
            f"{self.keys}{CHANNELS % self.topics}"
        )

    def publish(self, topic: str, payload: bytes) -> None:
        from paho.mqtt.publish import single

        single(f"{self.prefix}/{topic}", payload, qos=1, hostname="127.0.0.1", port=self.broker.port)

    def ready(self, heard: Callable[[], bool]) -> None:
        until(heard)

    def feed(self, index: int) -> None:
        self.publish("window", json.dumps(measurement(index)).encode())

    def bad(self) -> None:
        self.publish("window", b"\xff not json")

    def vanish(self) -> None:
        self.broker.kill()

    def come_back(self, heard: Callable[[], bool]) -> None:
        self.broker.start()
        until(heard)


class MqttTopicsCase(MqttCase):
    """A topic for each channel."""

    def toml(self) -> str:
        topics = (f', topic = "{self.prefix}/h"', f', topic = "{self.prefix}/t"')
        return (
            f'kind = "mqtt"\nhost = "127.0.0.1"\nport = {self.broker.port}\n{self.keys}every_seconds = 1\n'
            f"{CHANNELS % topics}"
        )

    def feed(self, index: int) -> None:
        self.publish("t", b"40.5")
        self.publish("h", json.dumps([index] * SAMPLES).encode())

    def bad(self) -> None:
        self.publish("h", b'"loud"')


class OpcUaCase(LiveCase):
    """Two nodes of a real server in a process of its own."""

    def __init__(self, folder: Path, server: OpcUaServer) -> None:
        super().__init__(folder)
        self.server = server

    def toml(self) -> str:
        nodes = tuple(f', node = "ns=2;s={n}"' for n in ("horizontal", "temperature"))
        return (
            f'kind = "opcua"\nurl = "{self.server.url}"\npublish_seconds = 0.05\n{self.keys}every_seconds = 1\n'
            f"{CHANNELS % nodes}"
        )

    def ready(self, heard: Callable[[], bool]) -> None:
        until(heard)

    def feed(self, index: int) -> None:
        at_ns = START_NS + index * 1_000_000_000
        self.server.write("temperature", 40.0 + 0.001 * index, at_ns)
        self.server.write("horizontal", [index] * SAMPLES, at_ns)

    def bad(self) -> None:
        self.server.write("horizontal", None, START_NS)  # with a bad status

    def vanish(self) -> None:
        self.server.kill()

    def come_back(self, heard: Callable[[], bool]) -> None:
        self.server.start()
        until(heard)


class PlugInCase(LiveCase):
    """The plug-in of docs/sources.md, installed as a package would be."""

    index = 0

    def toml(self) -> str:
        (self.folder / "spool").mkdir(exist_ok=True)
        return f'kind = "spool"\npath = "spool"\n{self.keys}{CHANNELS % ("", "")}'

    def put(self, text: str) -> None:
        self.index += 1
        written = self.folder / "writing"
        written.write_text(text)
        written.rename(self.folder / "spool" / f"{self.index:03}.txt")

    def ready(self, heard: Callable[[], bool]) -> None:
        until(heard)

    def feed(self, index: int) -> None:
        self.put("horizontal" + f" {index}" * SAMPLES + "\ntemperature 40.5\n")

    def bad(self) -> None:
        self.put("horizontal loud\n")

    def vanish(self) -> None:
        (self.folder / "spool").rename(self.folder / "unmounted")

    def come_back(self, heard: Callable[[], bool]) -> None:
        (self.folder / "unmounted").rename(self.folder / "spool")
        until(heard)


def until(holds: Callable[[], bool], within_s: float = 15.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise ForewarnError("did not happen in time")
        threading.Event().wait(0.02)
