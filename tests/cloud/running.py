"""Gateways in this process, over a folder of their own, with short waits, and ways to make their surroundings fail."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

from cloud.config import CloudConfig
from cloud.gateway.server import Gateway
from cloud.lake.verify import verify
from cloud.store import ObjectStore
from cloud.wiring import Cloud
from models.errors import Unavailable
from models.tracing import Traces

QUICK = CloudConfig(segment_seconds=0.05, compact_seconds=0)


class Running:
    """A gateway and its address."""

    def __init__(self, gateway: Gateway, address: str) -> None:
        self.gateway = gateway
        self.address = address


@asynccontextmanager
async def running(
    cloud: Cloud,
    *,
    config: CloudConfig = QUICK,
    store: ObjectStore | None = None,
    take_alert: Any = lambda *said: 381,
    traces: Traces | None = None,
) -> AsyncIterator[Running]:
    """A gateway in this process; at the end it is killed, as if by a crash."""
    gateway = Gateway(config, engine=cloud.engine, store=store or cloud.store, take_alert=take_alert, traces=traces)
    address = await gateway.start("127.0.0.1:0")
    try:
        yield Running(gateway, address)
    finally:
        await gateway.kill()


async def eventually(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until something is true, polling."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


def play(story: Coroutine[Any, Any, None], *, within_s: float = 60.0) -> None:
    """Run a test's coroutine to its end, within a deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await story

    asyncio.run(bounded())


def in_lake(cloud: Cloud, kind: str = "features") -> Counter[tuple[str, int, int]]:
    """How often each identity is in the lake, counted from the rows themselves."""
    rows = cloud.lake.rows(kind, columns=[])
    return Counter(zip(*(rows[n].to_pylist() for n in ("device", "epoch", "sequence")), strict=True))


def assert_exactly(cloud: Cloud, device: str, epoch: int, sequences: Iterator[int] | range) -> None:
    """The lake holds these records of the device, each once, with the values it made, and nothing is amiss."""
    rows = cloud.lake.rows("features").to_pylist()
    mine = [r for r in rows if (r["device"], r["epoch"]) == (device, epoch)]
    times = Counter(r["sequence"] for r in mine)
    wrong = {n: times[n] for n in {*times, *sequences} if times[n] != (n in sequences)}
    assert not wrong, f"how often what should be there once or not at all is: {wrong}"
    assert all(r["rms@1"] == r["sequence"] * 10 and r["crest@1"] == r["sequence"] * 10 + 2 for r in mine)
    assert list(verify(cloud.engine, cloud.store, cloud.enterprise)) == []


class FailingStore:
    """A store in front of a real one: it can be away, slow, or be the last thing a process did."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.away = False
        self.before_put: Callable[[], None] = lambda: None
        self.after_put: Callable[[], None] = lambda: None
        self.puts = 0
        self.go = threading.Event()
        self.go.set()

    def put(self, key: str, data: bytes) -> None:
        self.before_put()
        self.go.wait(60)
        if self.away:
            raise Unavailable("the store is away")
        self._store.put(key, data)
        self.puts += 1
        self.after_put()

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def delete(self, key: str) -> None:
        if self.away:
            raise Unavailable("the store is away")
        self._store.delete(key)

    def list(self, prefix: str) -> Iterator[str]:
        return self._store.list(prefix)
