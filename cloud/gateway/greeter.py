"""Greets devices, many in one transaction: after an outage a whole fleet says Hello at once.

Invariants:
- One transaction at a time: greetings wait for each other here, not for the database's lock.
- Keys are greeted in their order, as commits lock them: two gateways cannot wait for each other.
- One Hello that the catalogue refuses does not take the others with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloud.catalogue.access import writing
from cloud.catalogue.ingest import CursorKey, DeviceFacts, Greeting, greet
from models.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine

_AT_ONCE = 64  # in one transaction: devices wait for its end, and records for its locks


@dataclass(eq=False)
class _Waiting:
    key: CursorKey
    facts: DeviceFacts
    answer: asyncio.Future[Greeting] = field(default_factory=asyncio.Future)

    def settle(self, result: Greeting | Exception) -> None:
        if self.answer.done():  # the device has gone meanwhile
            return
        if isinstance(result, Exception):
            self.answer.set_exception(result)
        else:
            self.answer.set_result(result)


class Greeter:
    """The catalogue's part of a Hello."""

    def __init__(
        self, engine: Engine, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]], now_ns: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._in_thread = in_thread
        self._now_ns = now_ns
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def greet(self, key: CursorKey, facts: DeviceFacts) -> Greeting:
        """Write what the device says of itself, take its stream over, and return what is stored."""
        one = _Waiting(key, facts)
        self._waiting.append(one)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await one.answer

    async def _run(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            some = sorted((w for w in some if not w.answer.done()), key=lambda w: w.key)
            if some:
                await self._together(some)

    async def _together(self, some: Sequence[_Waiting]) -> None:
        try:
            for one, known in zip(some, await self._in_thread(lambda: self._write(some)), strict=True):
                one.settle(known)
        except Exception as e:  # noqa: BLE001 - the device hears it
            if len(some) == 1 or isinstance(e, Unavailable):
                for one in some:
                    one.settle(e)
                return
            for one in some:  # which of them is to blame shows when each is alone
                await self._together([one])

    def _write(self, some: Sequence[_Waiting]) -> list[Greeting]:
        with writing(self._engine) as connection:
            return [greet(connection, one.key, one.facts, self._now_ns()) for one in some]
