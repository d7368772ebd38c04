"""Rows 1 and 12, exhaustive for the device: it dies before or after each thing that it does to its file or on the wire.

A first run counts what a device does while it keeps records, its baseline and an alarm, and delivers, twice: each
statement that changes the outbox's file, each commit, each word to the gateway. Then a device dies at the first and at
the second of each, and from there on does nothing any more, as a process that was killed; another takes over its file.
The list is made by the run, and printed at the end of the tests. (The updater's steps are counted in
tests/edge/updater/test_slots.py.)
"""

from __future__ import annotations

import functools
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge import wire
from edge.uplink.alerts import AlertCalls
from edge.uplink.bulk import Bulk
from edge.uplink.session import Session
from tests.edge.device_simulator import SCHEMA, DeviceSimulator, records
from tests.edge.gateway_simulator import GatewaySimulator

Point = tuple[str, int]  # what is done, and the how manyth time
CHANGES = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM|REPLACE INTO) \w+")
WORDS = [(Session, "_greet", "Hello"), (Bulk, "_write", "records"), (AlertCalls, "_raise", "an alert")]
TIMES = 2  # each is died at when it happens first, and again when all is under way
ROWS = 20
HEADS = (ROWS, ROWS + 1, 2 * ROWS + 1, 2 * ROWS + 2)  # after rows, an alarm, rows, an alarm


class Dead(BaseException):
    """The process has ended; nothing may mend it by a retry."""


class Life:
    """What a device did, until it dies at a point and does nothing any more."""

    def __init__(self, ends_at: Point | None = None) -> None:
        self.done: Counter[str] = Counter()
        self.ended = threading.Event()
        self.begun = False
        self._ends_at = ends_at
        self._lock = threading.Lock()

    def step(self, what: str) -> None:
        """Something is about to be done, or was just done."""
        with self._lock:
            if not self.begun:
                return
            if self.ended.is_set():
                raise Dead
            self.done[what] += 1
            if (what, self.done[what]) == self._ends_at:
                self.ended.set()
                raise Dead


class Connection(sqlite3.Connection):
    """A connection of which each change may be the last thing that is done."""

    life: Life
    changed = ""

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """Run a statement."""
        if sql == "COMMIT":
            self.life.step(f"before the commit of {self.changed}")
            done = super().execute(sql)
            self.life.step(f"after the commit of {self.changed}")
            return done
        self._step(sql)
        return super().execute(sql, *given)

    def executemany(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """Run a statement for each."""
        self._step(sql)
        return super().executemany(sql, *given)

    def _step(self, sql: str) -> None:
        if change := CHANGES.match(sql):
            self.changed = change[0].strip()
            self.life.step(f"before {self.changed}")


def said(life: Life, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
    async def say(*given: Any) -> Any:
        life.step(f"before {what} is sent")
        result = await real(*given)
        life.step(f"after {what} is sent")
        return result

    return say


def go_on(device: DeviceSimulator, gateway: GatewaySimulator, over: Callable[[], bool]) -> None:
    """Do what is not done yet: keep rows with the baseline that they make, raise an alarm, deliver; twice."""
    device.connect()
    for n, head in enumerate(HEADS):
        if device.outbox.head >= head:
            continue
        if n % 2:
            device.raise_alarm(f"P-101/{n}")
            gateway.wait_until(lambda: over() or not device.outbox.kept_bytes)
        else:
            parcels = wire.pack(records(ROWS, start=ROWS * n // 2), replay=True)
            baseline = {"detector/P-101": str(ROWS * (n // 2 + 1)).encode()}
            device.outbox.append(parcels, dict([wire.schema_state(SCHEMA)]) | baseline)
    gateway.wait_until(lambda: over() or not device.outbox.kept_bytes)


def live(folder: Path, monkeypatch: pytest.MonkeyPatch, ends_at: Point | None = None) -> Counter[str]:
    """One life and, if it ended early, another after it; what the first did. All is stored once at the end."""
    life = Life(ends_at)
    gateway = GatewaySimulator()
    gateway.start()
    watched = type("Watched", (Connection,), {"life": life})
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=watched))
        for owner, method, word in WORDS:
            patch.setattr(owner, method, said(life, word, getattr(owner, method)))
        device = DeviceSimulator(folder, [gateway.address])
        life.begun = True
        try:
            go_on(device, gateway, life.ended.is_set)
        except Dead:
            assert life.ended.is_set()
        device.close()
    assert life.ended.is_set() == (ends_at is not None), f"{ends_at} did not happen"
    again = DeviceSimulator(folder, [gateway.address])
    kept = int(again.outbox.state("detector/P-101") or b"0")
    assert (again.outbox.head, kept) in {(0, 0), *zip(HEADS, (ROWS, ROWS, 2 * ROWS, 2 * ROWS), strict=True)}
    go_on(again, gateway, lambda: False)
    again.close()
    assert gateway.stored == {(again.outbox.epoch, n) for n in range(1, HEADS[-1] + 1)}, ends_at
    assert gateway.stored_twice == 0, ends_at
    gateway.close()
    return life.done


@pytest.mark.timeout(300)
def test_a_device_that_dies_at_any_of_its_effects_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch, record_property
):
    counted = live(tmp_path / "whole", monkeypatch)
    for what in [w for w in counted if "Hello" in w]:  # a busy machine may have needed two
        counted[what] = 1
    points = [(what, nth) for what, times in counted.items() for nth in range(1, min(times, TIMES) + 1)]
    named = " ".join(counted)
    assert all(part in named for part in ("parcel", "state", "meta", "Hello", "records", "an alert")), named
    for n, point in enumerate(points):
        live(tmp_path / str(n), monkeypatch, point)
    for what, times in counted.items():
        record_property("crash point", f"device {what}" + (" (first, then under way)" if times > 1 else ""))
