"""Durable ingest: rows a second from device to `stored`, through a real gateway process, at several batch sizes.

A row is 13 named float32 features. A run ends when everything that was sent is stored: in the object store, and
committed with its cursor. The senders share the machine. Beside each size, in the same run and in turn, the same
messages go through an MQTT pipeline that is durable as well (`benchmarks/mqtt.py`), if mosquitto is installed; CPU
time is that of the gateway on one side, of broker and consumer on the other.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import mqtt
from benchmarks.load import cpu_s, gateway, send_all
from cloud.wiring import open_cloud

FRAMES = (1, 16, 256)  # rows a message
ASKED = {1: 2.0, 16: 2.0, 256: 2.2}  # times the MQTT pipeline's rate
SECONDS = 8.0  # of sending, in each turn: the last segment waits for its age
TURNS = 1  # more of them, one way after the other, make the ratios steadier
STREAMS = 16
PEERS = {
    "mqtt": mqtt.Peer(1),
    "grouped_mqtt": mqtt.Peer(10_000),
    "columns_mqtt": mqtt.Peer(10_000, columns=True),  # stores what ours stores
}


def measure(seconds: float = SECONDS, streams: int = STREAMS, turns: int = TURNS) -> dict[str, Any]:
    """Measure all batch sizes against one gateway, each beside the MQTT pipeline."""
    peers = PEERS if shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") else {}
    table = []
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)) as (address, process):
        rows = _ours(address, process, "warm", 1, streams, 0.1)["rows"]  # both sides start with their modules loaded
        for frames in FRAMES:
            runs: dict[str, list[dict[str, float]]] = {way: [] for way in ("ours", *peers)}
            for turn in range(turns):
                runs["ours"].append(_ours(address, process, f"d{frames}-{turn}", frames, streams, seconds))
                for name, peer in peers.items():
                    with tempfile.TemporaryDirectory() as place, mqtt.pipeline(Path(place), peer) as pipeline:
                        mqtt.measure(pipeline, frames, streams, 0.1)
                        runs[name].append(mqtt.measure(pipeline, frames, streams, seconds))
            rows += int(sum(run["rows"] for run in runs["ours"]))
            table.append(_line(frames, runs) | {"rss_mb": round(process.memory_info().rss / 1e6)})
        stored = stored_rows(Path(folder))
    assert stored == rows, "rows were lost or doubled"
    return {"streams": streams, "asked": ASKED, "ingest": table}


def _ours(
    address: str, process: psutil.Process, prefix: str, frames: int, streams: int, seconds: float
) -> dict[str, float]:
    before, begin = cpu_s([process]), time.monotonic()
    names = [f"{prefix}-{n}" for n in range(streams)]
    sent = asyncio.run(send_all(address, names, frames, seconds))
    return {"rows": sent, "seconds": time.monotonic() - begin, "cpu_s": cpu_s([process]) - before}


def _line(frames: int, runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """All turns of one batch size: each way's rate and cost, and ours in terms of the peers'."""
    total = {way: {k: sum(run[k] for run in found) for k in found[0]} for way, found in runs.items()}
    rate = {way: sums["rows"] / sums["seconds"] for way, sums in total.items()}
    line: dict[str, Any] = {"frames": frames, "rows": total["ours"]["rows"]}
    for way, sums in total.items():
        key = "" if way == "ours" else f"{way}_"
        line[f"{key}rows_per_s"] = round(rate[way])
        line[f"{key}cpu_us"] = round(sums["cpu_s"] / sums["rows"] * 1e6, 2)
        if way != "ours":
            line[f"ratio_to_{way}"] = round(rate["ours"] / rate[way], 2)
    return line


def stored_rows(data: Path) -> int:
    """Rows that are committed, after reading all of them: a rate counts only if what was counted is there, once."""
    subprocess.run([sys.executable, "-m", "forewarn", "lake", "verify", "--data", str(data)], check=True, stdout=2)
    return sum(len(book.stored) for book in open_cloud(data).lake.ledger())


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"durable rows/s at {row['frames']} a message (gateway CPU us; times MQTT, grouped, in columns)",
            f"{row['rows_per_s']} ({row['cpu_us']}; {', '.join(str(row.get(f'ratio_to_{peer}')) for peer in PEERS)})",
        )
        for row in figures["ingest"]
    ]
