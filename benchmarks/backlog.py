"""72 hours of backlog through a real agent into a real gateway: how long it takes, and the agent's memory.

A device was without its cloud for three days: a window every 10 s of two waveform channels and a temperature, kept
window by window as a live device keeps them, a spectrum of each channel every 10 minutes and a raw snapshot a day.
Beside it, in the same run: the same agent without a backlog (its memory), and bare reading of the store (its time).
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load import gateway
from cloud.wiring import open_cloud
from edge import wire
from edge.outbox import Outbox, Parcel, StoreLock
from edge.types import Kind, Record, Schema
from models.features import HEALTH, SCALAR, WAVEFORM

HOURS = 72
EVERY_S = 10
BEGIN_NS = 1_790_000_000 * 10**9
DEADLINE_S = 600.0
LIVE_RECORDS = 50  # that the agent makes beside, at least
_AT_ONCE = 64  # windows in a transaction while the store is filled: the parcels are a window's all the same
_RNG = np.random.default_rng(7)


def _schema(specs: Any) -> Schema:
    return Schema(tuple(s.id for s in specs), tuple(s.unit for s in specs))


_WAVEFORM, _SCALAR, _HEALTH = _schema(WAVEFORM), _schema(SCALAR), _schema(HEALTH)
SCHEMAS = dict(wire.schema_state(s) for s in (_WAVEFORM, _SCALAR, _HEALTH))


def window(number: int, time_ns: int) -> list[Record]:
    """What one window says."""

    def one(kind: Kind, channel: str, schema: Schema | None, values: Any, **more: Any) -> Record:
        return Record(
            kind=kind, machine="P-101", channel=channel, time_ns=time_ns, schema=schema, values=values, **more
        )

    def drawn(schema: Schema) -> Any:
        return _RNG.normal(size=len(schema.columns)).astype(np.float32)

    found = [one(Kind.FEATURES, channel, _WAVEFORM, drawn(_WAVEFORM)) for channel in ("x", "y")]
    found.append(one(Kind.SCALARS, "t", _SCALAR, drawn(_SCALAR)))
    found.append(one(Kind.HEALTH, "", _HEALTH, drawn(_HEALTH)))
    if number % 60 == 0:
        lines = _RNG.normal(size=1281).astype(np.float32)
        found += [one(Kind.SPECTRUM, channel, None, lines, step=10.0) for channel in ("x", "y")]
    if number % (86_400 // EVERY_S) == 0:
        samples = _RNG.integers(-30_000, 30_000, 65_536).astype(np.int16)
        found += [one(Kind.WAVEFORM, channel, None, samples, step=1 / 25_600, scale=1e-3) for channel in ("x", "y")]
    return found


def fill(store: Path, hours: float, *, first: int = 0) -> tuple[int, int, int]:
    """Keep so many hours of windows in a new store; (epoch, last sequence, bytes). Window 0 has a raw snapshot."""
    store.mkdir(parents=True)
    with StoreLock(store):
        outbox = Outbox(store / "outbox.sqlite", gap=wire.gap_parcel)
        numbers = iter(range(first, first + round(hours * 3600 / EVERY_S)))
        while parcels := list(_parcels(islice(numbers, _AT_ONCE))):
            outbox.append(parcels, SCHEMAS)
        found = outbox.epoch, outbox.head, outbox.kept_bytes
        outbox.close()
    return found


def _parcels(numbers: Iterator[int]) -> Iterator[Parcel]:
    for n in numbers:
        yield from wire.pack(window(n, BEGIN_NS + n * EVERY_S * 10**9), replay=False)


def measure(hours: float = HOURS) -> dict[str, Any]:
    """`drain_seconds` and its ratio to real time, `agent_peak_mb` and its floors."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address, _ = stack.enter_context(gateway(folder / "cloud"))
        epoch, head, size = fill(folder / "full" / "store", hours)
        (folder / "empty" / "store").mkdir(parents=True)
        file = folder / "full" / "store" / "outbox.sqlite"
        bare_s = _read_bare(file)
        took_s, peak_mb = _run(folder / "full", address, "backlog", file, head)
        _, floor_mb = _run(folder / "empty", address, "empty", folder / "empty" / "store" / "outbox.sqlite", 0)
        books = [b for b in open_cloud(folder / "cloud").lake.ledger() if (b.device, b.epoch) == ("backlog", epoch)]
        assert books, "nothing of the backlog is stored"
        assert books[0].stored.contains(1, head), "the backlog is not stored as a whole"
    return {
        "backlog_hours": hours,
        "backlog_records": head,
        "backlog_mb": round(size / 1e6, 1),
        "drain_seconds": round(took_s, 1),
        "drain_times_real_time": round(hours * 3600 / took_s),
        "bare_read_seconds": round(bare_s, 2),
        "agent_peak_mb": round(peak_mb),
        "agent_peak_without_backlog_mb": round(floor_mb),
    }


def _read_bare(file: Path) -> float:
    begin = time.perf_counter()
    with sqlite3.connect(file) as database:
        sum(len(data) for (data,) in database.execute("SELECT data FROM blob"))
    database.close()
    return time.perf_counter() - begin


def _run(folder: Path, address: str, device: str, store: Path, head: int) -> tuple[float, float]:
    """Run an agent, which listens to a machine beside, until the backlog is gone; (seconds, peak resident MB)."""
    config = folder / "site.toml"
    source = 'source = { kind = "simulator", every_seconds = 1.0, life_seconds = 1e6 }'
    machine = f'[[machine]]\nname = "L-{device}"\n{source}\n'
    config.write_text(f'device = "{device}"\nstore = "store"\ngateways = ["{address}"]\nsite = "bench"\n{machine}')
    command = [sys.executable, "-m", "forewarn", "--log-level", "error", "edge", "run", "--config", str(config)]
    begin = time.monotonic()
    process = subprocess.Popen(command, env=os.environ)
    try:
        ended_s = 0.0
        while not ended_s or _newest(store) < head + LIVE_RECORDS:
            assert process.poll() is None, "the agent ended"
            assert time.monotonic() - begin < DEADLINE_S, "the backlog was not delivered in time"
            if not ended_s and not _left(store, head):
                ended_s = time.monotonic() - begin
            time.sleep(0.05)
        return ended_s, _peak_mb(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _left(store: Path, head: int) -> bool:
    return bool(head) and _ask(store, f"SELECT count(*) FROM (SELECT 1 FROM parcel WHERE last <= {head} LIMIT 1)") > 0


def _newest(store: Path) -> int:
    return _ask(store, "SELECT value FROM meta WHERE name = 'head'")


def _ask(store: Path, question: str) -> int:
    """One number from the agent's store, while it is in use; 0 before it is there."""
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10) as database:
            found = database.execute(question).fetchone()
        database.close()
    except sqlite3.OperationalError:
        return 0
    return int(found[0]) if found else 0


def _peak_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    f = figures
    return [
        (
            f"{f['backlog_hours']} h of backlog drained in s, agent's start included (bare reading; times real time)",
            f"{f['drain_seconds']} ({f['bare_read_seconds']}; {f['drain_times_real_time']})",
        ),
        (
            "the agent's peak resident MB while it drains (without a backlog)",
            f"{f['agent_peak_mb']} ({f['agent_peak_without_backlog_mb']})",
        ),
    ]
