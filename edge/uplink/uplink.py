"""Keeps one session alive: connects, reconnects with jitter, tries the next gateway, and says when all is delivered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from edge.monitoring.meter import Meter
from edge.outbox import Outbox
from edge.uplink.link import Link
from edge.uplink.pace import Backoff
from edge.uplink.session import Deadlines, Identity, Session
from edge.uplink.signals import EpochEnded, Signals
from models.errors import Unavailable
from models.tracing import Traces

_PROVEN_S = 5.0  # a session that lived so long was a good one: the next attempt does not wait long
_log = structlog.get_logger()


class Uplink:
    """Delivers an outbox to the cloud. `run` is a task of the agent's event loop and ends when it is cancelled."""

    def __init__(
        self,
        outbox: Outbox,
        link: Link,
        identity: Identity,
        *,
        deadlines: Deadlines | None = None,
        longest_retry_s: float = 10.0,
        clock_s: Callable[[], float] = time.monotonic,
        meter: Meter | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._outbox = outbox
        self._link = link
        self._identity = identity
        self._deadlines = deadlines or Deadlines()
        self._backoff = Backoff(0.2, longest_retry_s)
        self._clock_s = clock_s
        self._meter = meter or Meter()
        self._traces = traces
        self._signals = Signals()
        self._said = ""

    async def run(self) -> None:
        """Connect again and again, until cancelled."""
        loop = asyncio.get_running_loop()

        def kept() -> None:
            loop.call_soon_threadsafe(self._signals.kept)

        self._outbox.listen(kept)
        threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="uplink")
        try:
            while True:
                await self._once(threads)
        finally:
            self._outbox.listen(lambda: None)
            threads.shutdown(wait=True)

    async def _once(self, threads: ThreadPoolExecutor) -> None:
        """One session to its end, and the pause after it."""
        session: Session | None = None
        try:
            session = self._session(threads)
            if await self._renewed(session):
                return
        except EpochEnded:
            if self._backoff.attempts == 0:
                self._backoff.attempts = 1
                return  # nothing is wrong with the gateway
        except Unavailable as e:
            self._say(e)
            self._link.try_another()
        if session is not None and session.welcomed_s is not None:
            self._said = ""
            if self._clock_s() - session.welcomed_s > _PROVEN_S:
                self._backoff.reset()
        await asyncio.sleep(self._backoff.next_s())

    def _session(self, threads: ThreadPoolExecutor) -> Session:
        return Session(
            self._link.channel(),
            self._outbox,
            self._identity,
            self._signals,
            threads,
            deadlines=self._deadlines,
            clock_s=self._clock_s,
            meter=self._meter,
            welcomed=self._link.taken,
            traces=self._traces,
        )

    async def _renewed(self, session: Session) -> bool:
        """Run the session to its end, or until a channel with a newer certificate is there to go on: then True."""
        running = asyncio.ensure_future(session.run())
        renewed = asyncio.ensure_future(self._link.renewed())
        try:
            await asyncio.wait({running, renewed}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            renewed.result()
            return True
        finally:
            running.cancel()
            renewed.cancel()
            await asyncio.gather(running, renewed, return_exceptions=True)

    def _say(self, error: Unavailable) -> None:
        """Log an outage when it begins or changes, not at each attempt."""
        if str(error) != self._said:
            self._said = str(error)
            _log.warning("not connected, trying again", gateway=self._link.address, reason=self._said)

    async def drained(self) -> None:
        """Wait until the cloud has stored everything that is kept."""
        while self._outbox.kept_bytes:
            self._signals.stored.clear()
            if self._outbox.kept_bytes:
                await self._signals.stored.wait()
