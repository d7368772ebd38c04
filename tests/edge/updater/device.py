"""A device to be updated: a link over a folder of repository files that can be tampered with, and an updater."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.updater import Assigned, Command, Updater
from models.errors import BundleRejected, Unavailable


@dataclass
class Link:
    """Implements `RolloutLink` over a folder of repository files."""

    files: Path
    tamper: Callable[[str, bytes], bytes] = lambda _path, data: data
    failures: int = 0  # how many fetches from now on fail
    hang_on: str = ""
    fetched: list[str] = field(default_factory=list)
    reports: list[tuple[str, bool, str]] = field(default_factory=list)
    orders: asyncio.Queue[Assigned | Command] = field(default_factory=asyncio.Queue)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    reported: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, running_bundle: str) -> AsyncIterator[Assigned | Command]:
        while True:
            yield await self.orders.get()

    async def fetch(self, path: str) -> AsyncGenerator[bytes, None]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the link is down")
        self.fetched.append(path)
        if self.hang_on and path.startswith(self.hang_on):
            self.hanging.set()
            await asyncio.Event().wait()
        file = self.files / path
        if not file.exists():
            raise KeyError(path)
        data = self.tamper(path, file.read_bytes())
        for start in range(0, len(data), 10_000):
            yield data[start : start + 10_000]

    async def report(self, bundle: str, *, running: bool, reason: str = "") -> None:
        self.reports.append((bundle, running, reason))
        self.reported.set()


class Device:
    """An updater with its link, and what its agent would have done."""

    def __init__(self, slots: Path, root: bytes, link: Link, **options: object) -> None:
        self.link = link
        self.loaded: list[Path] = []
        self.withdrawn: list[str] = []
        self.refuse = False
        self.updater = Updater(
            link,
            slots,
            root,
            self._on_bundle,
            machine_classes=["bearing"],
            on_withdrawn=self.withdrawn.append,
            **options,
        )

    def _on_bundle(self, path: Path) -> None:
        if self.refuse:
            raise BundleRejected("the agent cannot load it")
        self.loaded.append(path)

    @property
    def runs(self) -> str:
        return self.updater.running.get("bearing", "")

    async def __aenter__(self) -> Device:
        self._task = asyncio.create_task(self.updater.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task], timeout=10)

    async def told(self, bundle: str) -> tuple[str, bool, str]:
        """Assign `bundle` and return what the device then reports."""
        have = len(self.link.reports)
        self.link.orders.put_nowait(Assigned("bearing", bundle))
        return await self.reports(have + 1)

    async def reports(self, count: int) -> tuple[str, bool, str]:
        """Wait until there are `count` reports and return that one."""
        async with asyncio.timeout(30):
            while len(self.link.reports) < count:
                self.link.reported.clear()
                await self.link.reported.wait()
        return self.link.reports[count - 1]

    async def reported(self, bundle: str, *, running: bool) -> tuple[str, bool, str]:
        """Wait until the last report says so, and return it."""
        count = max(len(self.link.reports), 1)
        while (last := await self.reports(count))[:2] != (bundle, running):
            count += 1
        return last
