"""Tells open pages that something changed (server-sent events); a page then fetches itself anew.

However many pages are open, one task asks the catalogue, once a second, and only while somebody looks. A stream ends by
itself after a minute (the browser comes back): a server that stops never waits long for its readers.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from cloud.catalogue.fleet import Stamp
from models.errors import Unavailable

MOST_READERS = 500
_STREAM_S = 60.0
_RETRY_MS = 1000


@dataclass(frozen=True, slots=True)
class Tick:
    """What a reader is told: `change` differs when there is something new; `age_s` is the age of the newest data."""

    change: int
    age_s: float | None

    def encoded(self) -> str:
        """Return the event as the wire has it."""
        body = json.dumps({"change": str(self.change), "age_s": self.age_s})
        return f"event: tick\ndata: {body}\n\n"


class Live:
    """The feed of one process."""

    def __init__(
        self, read: Callable[[], Stamp], clock: Callable[[], int] = time.time_ns, every_s: float = 1.0
    ) -> None:
        self._read = read
        self._clock = clock
        self._every_s = every_s
        self._readers: set[asyncio.Queue[Tick | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    def close(self) -> None:
        """End all streams, so that a stopping server need not wait for them; safe from any thread."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for queue in self._readers:
            _push(queue, None)

    async def stream(self) -> AsyncIterator[str]:
        """Yield events for one reader: at once, at each change and once in a while, for a minute at most."""
        queue: asyncio.Queue[Tick | None] = asyncio.Queue(maxsize=1)
        self._readers.add(queue)
        self._loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="live pages")
        ends = self._loop.time() + _STREAM_S
        try:
            yield f"retry: {_RETRY_MS}\n\n"
            with suppress(TimeoutError):
                while not self._closed and (tick := await _next(queue, ends)) is not None:
                    yield tick.encoded()
        finally:
            self._readers.discard(queue)

    async def _watch(self) -> None:
        while self._readers and not self._closed:
            try:
                stamp = await asyncio.to_thread(self._read)
            except Unavailable:
                stamp = None  # the readers' own clock goes on and shows how old their data is
            if stamp is not None:
                age = (self._clock() - stamp.received_ns) / 1e9 if stamp.received_ns else None
                for queue in self._readers:
                    _push(queue, Tick(stamp.change, age))
            await asyncio.sleep(self._every_s)


def router(live: Live) -> APIRouter:
    """Build the feed's route."""
    routes = APIRouter()

    @routes.get("/live")
    async def follow() -> StreamingResponse:
        """Stream events; too many readers are asked to come back later."""
        if live.readers >= MOST_READERS:
            return StreamingResponse(iter(()), 503, headers={"retry-after": "30"})
        return StreamingResponse(live.stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    return routes


async def _next(queue: asyncio.Queue[Tick | None], ends: float) -> Tick | None:
    """Wait for the next event; the deadline holds here alone, never while the reader is being written to."""
    async with asyncio.timeout_at(ends):
        return await queue.get()


def _push(queue: asyncio.Queue[Tick | None], tick: Tick | None) -> None:
    """Put the newest event; a slow reader gets only the newest."""
    while queue.full():
        queue.get_nowait()
    queue.put_nowait(tick)
