"""A device without sensors: the real outbox, wire and uplink, in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge import wire
from edge.outbox import Outbox, StoreLock
from edge.types import Alarm, AlarmChange, Kind, Record, Schema
from edge.uplink import Deadlines, Identity, Link, Uplink
from models.certificates import CertificateFiles
from models.tracing import Traces

SCHEMA = Schema(("rms@1", "peak@1"), ("g", "g"))


def records(count: int, *, start: int = 0, machine: str = "P-101") -> list[Record]:
    """`count` rows of two features, one window apart."""
    return [
        Record(
            kind=Kind.FEATURES,
            machine=machine,
            channel="x",
            time_ns=(start + i) * 1_000_000_000,
            values=np.array([start + i, 2.0], np.float32),
            schema=SCHEMA,
        )
        for i in range(count)
    ]


def alarm(key: str = "P-101/1") -> Alarm:
    """An alarm with all that an alarm must say."""
    return Alarm(
        key=key,
        change=AlarmChange.RAISED,
        machine="P-101",
        channel="x",
        time_ns=5,
        severity="C",
        confidence="quite_sure",
        part="bearing",
        fault="outer_race",
        source="baseline",
        score=7.0,
        threshold=5.0,
    )


class DeviceSimulator:
    """Appends by hand, delivers by the real uplink."""

    def __init__(
        self,
        store: Path,
        addresses: Sequence[str],
        *,
        name: str = "dev-1",
        quota_bytes: int = 1 << 28,
        certificates: CertificateFiles | None = None,
    ) -> None:
        store.mkdir(exist_ok=True)
        self.lock = StoreLock(store).__enter__()
        self.outbox = Outbox(store / "outbox.sqlite", gap=wire.gap_parcel, quota_bytes=quota_bytes)
        self.produced: set[tuple[int, int]] = set()  # (epoch, sequence) of all that append said it keeps
        self._identity = Identity(enterprise="demo", site="demo", device=name)
        self._addresses = list(addresses)
        self._certificates = certificates
        self._thread: threading.Thread | None = None
        self.longest_retry_s = 0.05
        self.deadlines = Deadlines(welcome_s=2.0, alert_s=2.0, stored_s=2.0)
        self.traces: Traces | None = None

    def append(self, count: int, *, start: int = 0) -> None:
        """Keep `count` records of features."""
        parcels = wire.pack(records(count, start=start), replay=True)
        kept = self.outbox.append(parcels, dict([wire.schema_state(SCHEMA)]))
        self.produced |= {(kept.epoch, kept.first + i) for i in range(count)}

    def append_raw(self, samples: int) -> None:
        """Keep one raw snapshot, of 4 bytes a sample: one record, however large."""
        one = replace(records(1)[0], kind=Kind.WAVEFORM, schema=None, values=np.ones(samples, np.float32))
        kept = self.outbox.append(wire.pack([one], replay=True))
        self.produced.add((kept.epoch, kept.first))

    def raise_alarm(self, key: str = "P-101/1") -> int:
        """Keep an alarm; return its sequence number."""
        kept = self.outbox.append([wire.alert_parcel(alarm(key), replay=True, simulated=False)])
        self.produced.add((kept.epoch, kept.first))
        return kept.first

    def connect(self) -> None:
        """Start the uplink."""
        started = threading.Event()

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            link = Link(self._addresses, self._certificates, look_s=0.02)
            uplink = Uplink(
                self.outbox,
                link,
                self._identity,
                deadlines=self.deadlines,
                longest_retry_s=self.longest_retry_s,
                traces=self.traces,
            )
            self._task = asyncio.create_task(uplink.run())
            started.set()
            await asyncio.gather(self._task, return_exceptions=True)
            await link.close()

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def disconnect(self) -> None:
        """Stop the uplink, as a device that loses its network for long."""
        if self._thread is not None:
            with contextlib.suppress(RuntimeError):  # the uplink crashed, and its loop with it
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(20)
            assert not self._thread.is_alive()
            self._thread = None

    def close(self) -> None:
        """Switch the device off."""
        self.disconnect()
        self.outbox.close()
        self.lock.__exit__(None, None, None)
