"""The peer of our ingest: mosquitto, and a paho consumer that commits to SQLite before it acknowledges.

The same bytes from as many senders, QoS 1. The consumer acknowledges by hand, after a commit with synchronous=FULL:
either a transaction for each message as it arrives, as such consumers are usually written, or one for all that arrived
since the last, which is the most that such a pipeline can do. Broker and consumer are processes of their own; the
senders are one loop in this process, as ours are.

That pipeline does less than ours: it looks into no message, keeps blobs that nobody can query, stores twice what comes
twice, and its senders hear of the broker's memory (`persistence false`), not of the disk. So there is a third one that
stores what ours stores: it judges each row and keeps it once, under its number, in columns.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.load import COLUMNS, UNSTORED_ROWS, Messages, cpu_s
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb

IN_FLIGHT = 100  # messages of one sender that the broker has not acknowledged
DEADLINE_S = 300.0  # for a consumer to come to its end, on a busy machine
_CONFIG = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages 1000
max_queued_messages 0
set_tcp_nodelay true
"""


def _client(name: str, port: int, **options: Any) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, **options)
    client.max_inflight_messages_set(IN_FLIGHT + 1)
    client.connect("127.0.0.1", port, keepalive=600)
    return client


@dataclass(frozen=True, slots=True)
class Peer:
    """What a consumer does."""

    most: int  # messages that it commits at once
    columns: bool = False  # it keeps rows in columns, not messages as blobs


def consume(port: int, file: Path, peer: Peer) -> None:
    """The consumer's process: commit what arrived, then acknowledge it."""
    arrived: queue.SimpleQueue[MQTTMessage] = queue.SimpleQueue()
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, topic TEXT, payload BLOB)")
    features = ", ".join(f'"{name}" REAL' for name in COLUMNS)
    key = "PRIMARY KEY (topic, sequence)"
    database.execute(f"CREATE TABLE row (topic TEXT, sequence INTEGER, time INTEGER, {features}, {key}) WITHOUT ROWID")
    client = _client("consumer", port, manual_ack=True, clean_session=False)
    client.on_message = lambda _client, _data, message: arrived.put(message)
    client.subscribe("frames/#", qos=1)
    client.on_subscribe = lambda *_: sys.stdout.write("ready\n") and sys.stdout.flush()
    client.loop_start()
    while True:
        messages = [arrived.get()]
        with contextlib.suppress(queue.Empty):
            while len(messages) < peer.most:
                messages.append(arrived.get_nowait())
        database.execute("BEGIN")
        insert = "INSERT INTO message (topic, payload) VALUES (?, ?)"
        if peer.columns:
            _keep_rows(database, messages)
        database.executemany(insert, [(m.topic, None if peer.columns else m.payload) for m in messages])
        database.execute("COMMIT")
        for message in messages:
            client.ack(message.mid, message.qos)


def _keep_rows(database: sqlite3.Connection, messages: list[MQTTMessage]) -> None:
    """Insert the rows that are finite, each once."""
    insert = f"INSERT OR IGNORE INTO row VALUES ({', '.join('?' * (3 + len(COLUMNS)))})"
    for message in messages:
        for batch in pb.StreamRequest.FromString(message.payload).batches.batches:
            values = np.frombuffer(batch.values, "<f4").reshape(batch.count, batch.width)
            times = np.frombuffer(batch.event_time, "<i8").tolist()
            good = np.flatnonzero(np.isfinite(values).all(axis=1)).tolist()
            rows = values.tolist()
            database.executemany(insert, [(message.topic, batch.first_sequence + i, times[i], *rows[i]) for i in good])


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A running broker and consumer."""

    port: int
    file: Path  # the consumer's database
    processes: tuple[psutil.Process, ...]


@contextlib.contextmanager
def pipeline(folder: Path, peer: Peer) -> Iterator[Pipeline]:
    """Run broker and consumer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "mosquitto.conf").write_text(_CONFIG.format(port=port))
    file = folder / "messages.sqlite"
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    broker = subprocess.Popen(
        ["mosquitto", "-c", str(folder / "mosquitto.conf")], env=environment, stderr=subprocess.DEVNULL
    )
    consumer: subprocess.Popen[bytes] | None = None
    try:
        _wait_for(port)
        command = [
            sys.executable,
            "-m",
            "benchmarks.mqtt",
            str(port),
            str(file),
            str(peer.most),
            str(int(peer.columns)),
        ]
        consumer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == b"ready\n"
        yield Pipeline(port, file, (psutil.Process(broker.pid), psutil.Process(consumer.pid)))
    finally:
        for process in filter(None, (consumer, broker)):
            process.kill()
            process.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def measure(pipeline: Pipeline, frames: int, streams: int, seconds: float) -> dict[str, float]:
    """Send for so long, wait until the consumer has committed everything; return rows, seconds and CPU seconds."""
    messages = [Messages(frames, n) for n in range(streams)]
    clients = [_client(f"sender-{frames}-{n}", pipeline.port) for n in range(streams)]
    on_the_way = [0] * streams
    for n, client in enumerate(clients):

        def acknowledged(*_: object, n: int = n) -> None:
            on_the_way[n] -= 1

        client.on_publish = acknowledged
        while not client.is_connected():
            client.loop(0.1)
    database = sqlite3.connect(f"file:{pipeline.file}?mode=ro", uri=True)

    def committed() -> int:
        return int(database.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0])

    before, begin, sent = committed(), time.monotonic(), 0
    used = cpu_s(pipeline.processes)
    most = UNSTORED_ROWS * streams // frames
    while time.monotonic() < begin + seconds:
        room = sent - (committed() - before) < most
        for n, client in enumerate(clients):
            while room and on_the_way[n] < IN_FLIGHT:
                on_the_way[n] += 1
                client.publish(f"frames/{n}", messages[n].make(1 + sent * frames).SerializeToString(), qos=1)
                sent += 1
        _serve(clients)
    while committed() - before < sent:
        assert time.monotonic() < begin + seconds + DEADLINE_S, "the MQTT pipeline did not come to its end"
        _serve(clients)
    took = time.monotonic() - begin
    for client in clients:
        client.disconnect()
    database.close()
    return {"rows": sent * frames, "seconds": took, "cpu_s": cpu_s(pipeline.processes) - used}


def _serve(clients: list[Client]) -> None:
    """Read what the broker says, write what it had no room for."""
    sockets: dict[Any, Client] = {c.socket(): c for c in clients}
    readable, writable, _ = select.select(sockets, [s for s, c in sockets.items() if c.want_write()], [], 0.001)
    for one in readable:
        sockets[one].loop_read(IN_FLIGHT)
    for one in writable:
        sockets[one].loop_write()


if __name__ == "__main__":
    consume(int(sys.argv[1]), Path(sys.argv[2]), Peer(int(sys.argv[3]), sys.argv[4] == "1"))
