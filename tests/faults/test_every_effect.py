"""Row 12, exhaustive: a gateway dies before or after each thing that it does to store, catalogue or wire.

A first run counts what a gateway does while a device greets, raises an alarm and delivers twice, a raw snapshot in
parts among it: each part that is taken, each statement that changes the catalogue, each commit, each put, each answer.
Then a gateway dies at the first and at the second of each, and from there on does nothing any more, as a process that
was killed; another takes over. So no point is forgotten when the code changes: the list is made by the run, and printed
at the end of the tests.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from cloud.gateway import wire
from cloud.gateway.parts import Part, Parts
from cloud.store import ObjectStore
from cloud.wiring import Cloud
from tests.cloud.running import QUICK, eventually, play, running
from tests.edge.device_simulator import DeviceSimulator
from tests.faults.history import in_cloud, remembered, violations

Point = tuple[str, int]  # what is done, and the how manyth time
CHANGES = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) (\w+)")
CREDIT = msgspec.structs.replace(QUICK, credit_bytes=8_000)  # so that a raw snapshot needs parts on any link
TIMES = 2  # each is died at when it happens first, and again when all is under way


class Dead(BaseException):
    """The process has ended; nothing may mend it by a retry."""


class Life:
    """What a gateway did, until it dies at a point and does nothing any more."""

    def __init__(self, ends_at: Point | None = None) -> None:
        self.done: Counter[str] = Counter()
        self.ended = threading.Event()
        self._ends_at = ends_at
        self._lock = threading.Lock()

    def step(self, what: str) -> None:
        """Something is about to be done, or was just done."""
        with self._lock:
            if self.ended.is_set():
                raise Dead
            self.done[what] += 1
            if (what, self.done[what]) == self._ends_at:
                self.ended.set()
                raise Dead


class Store:
    """An object store in which a put may be the last thing that is done."""

    def __init__(self, store: ObjectStore, life: Life) -> None:
        self._store, self._life = store, life

    def put(self, key: str, data: bytes) -> None:
        self._life.step("before a put")
        self._store.put(key, data)
        self._life.step("after a put")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@contextmanager
def lived(cloud: Cloud, life: Life, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The catalogue and the wire of one life; yields its store."""
    last = threading.local()
    committed = cloud.engine.dialect.do_commit

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if change := CHANGES.match(statement):
            last.change = " ".join(change.groups())
            life.step(f"before {last.change}")

    def commit(connection: Any) -> None:
        life.step(f"before the commit of {last.change}")
        committed(connection)
        life.step(f"after the commit of {last.change}")

    def said(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        def say(*given: Any, **named: Any) -> Any:
            life.step(f"before {name} is said")
            return made(*given, **named)

        return say

    add = Parts.add

    async def taken(parts: Parts, part: Part) -> bytes | None:
        life.step("before a part is taken")
        whole = await add(parts, part)
        life.step("after a part is taken")
        return whole

    event.listen(cloud.engine, "before_cursor_execute", before)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.engine.dialect, "do_commit", commit)
        patch.setattr(Parts, "add", taken)
        for name in ("welcome", "ack"):
            patch.setattr(wire, name, said(name, getattr(wire, name)))
        yield Store(cloud.store, life)
    event.remove(cloud.engine, "before_cursor_execute", before)


class World:
    """A migrated catalogue to copy, and a new cloud and device for each life."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._template = folder / "template"
        self._template.mkdir()
        made = Cloud(self._template, QUICK)
        assert made.engine
        made.close()

    def live(self, name: str, ends_at: Point | None = None) -> Counter[str]:
        """One life and, if it ended early, another after it; what the first did. All is stored once at the end."""
        shutil.copytree(self._template, self._folder / name)
        cloud = Cloud(self._folder / name, QUICK)
        device = DeviceSimulator(self._folder / name / "device", [])
        life = Life(ends_at)

        async def deliver(address: str, at: list[int], over: Callable[[], bool]) -> None:
            device._addresses[:] = [address]
            await asyncio.to_thread(device.connect)
            while at[0] < 2:
                device.append(20, start=20 * at[0])
                device.append_raw(5_000)
                device.raise_alarm(f"P-101/{at[0]}")
                at[0] += 1
                await eventually(lambda: over() or not device.outbox.kept_bytes, within_s=60)
            await eventually(lambda: over() or not device.outbox.kept_bytes, within_s=60)
            await asyncio.to_thread(device.disconnect)

        async def story() -> None:
            at = [0]
            with lived(cloud, life, self._monkeypatch) as store:
                async with running(cloud, config=CREDIT, store=store, take_alert=cloud.alerts.take) as gateway:
                    await deliver(gateway.address, at, life.ended.is_set)
            if ends_at is not None:
                assert life.ended.is_set(), f"{ends_at} did not happen"
                async with running(cloud, config=CREDIT, take_alert=cloud.alerts.take) as gateway:
                    await deliver(gateway.address, at, lambda: False)

        play(story(), within_s=200)
        memories = {"dev-1": remembered("dev-1", self._folder / name / "device" / "outbox.sqlite")}
        assert violations(memories, in_cloud(cloud), at_rest=True) == [], ends_at
        assert len(memories["dev-1"].used) == 44
        device.close()
        cloud.close()
        shutil.rmtree(self._folder / name)
        return life.done


@pytest.mark.timeout(600)
def test_a_gateway_that_dies_at_any_of_its_effects_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch, record_property
):
    world = World(tmp_path, monkeypatch)
    counted = world.live("whole")
    points = [(what, nth) for what, times in counted.items() for nth in range(1, min(times, TIMES) + 1)]
    named = " ".join(counted)
    assert all(part in named for part in ("a put", "a part", "segment", "alert", "welcome", "ack", "cursor")), named
    died = [point for n, point in enumerate(points) if world.live(str(n), point)]
    assert died == points
    for what, times in counted.items():
        record_property("crash point", f"gateway {what}" + (" (first, then under way)" if times > 1 else ""))
