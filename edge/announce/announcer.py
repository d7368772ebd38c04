"""Between the sampling threads and those who are told: a bounded queue and a thread for each way.

Whoever announces never waits. A way that is slow or broken delays only itself; when its queue is full, its oldest
change is given up, and the log says so. What waits is not kept over a restart: the open alarms themselves are.
"""

# ruff: noqa: PLC0415 - a device without a webhook does not carry an HTTP client
from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog

from edge.announce.config import AnnounceConfig
from edge.announce.event import Event, Sender, event_of
from edge.announce.relay import Relay
from edge.types import Alarm, Machine
from models.errors import ConfigurationError

_log = structlog.get_logger()


class Way(Protocol):
    """One way to tell."""

    name: str

    def tell(self, event: Event, stopping: threading.Event) -> None:
        """Tell of one event, however long that takes, until `stopping`; what fails is logged, never raised."""
        ...


class Announcer:
    """Tells of each change of an alarm on every configured way."""

    def __init__(self, ways: Sequence[Way], sender: Sender, *, longest_queue: int = 256) -> None:
        self._sender = sender
        self._workers = [_Worker(way, longest_queue) for way in ways]

    @classmethod
    def of(cls, config: AnnounceConfig, sender: Sender) -> Announcer:
        """What a configuration asks for; ConfigurationError when the secret cannot be read."""
        ways: list[Way] = []
        if config.relay:
            ways.append(Relay(config.relay, config.relay_seconds))
        if config.webhook:
            from edge.announce.webhook import Webhook

            ways.append(
                Webhook(
                    config.webhook,
                    secret=read_secret(config.webhook_secret),
                    answer_s=config.webhook_answer_seconds,
                    retry_s=config.webhook_retry_seconds,
                )
            )
        return cls(ways, sender, longest_queue=config.longest_queue)

    def announce(self, alarm: Alarm, machine: Machine) -> None:
        """Tell of one change, in the background; from any thread."""
        if self._workers:
            event = event_of(alarm, machine, self._sender)
            for worker in self._workers:
                worker.put(event)

    def close(self, within_s: float = 3.0) -> None:
        """Tell what waits, within the deadline, and end."""
        until = time.monotonic() + within_s
        for worker in self._workers:
            worker.finish()
        for worker in self._workers:
            worker.close(until)


def read_secret(file: str) -> bytes:
    """The secret in `file`, empty without one; ConfigurationError when it cannot be read or is empty."""
    if not file:
        return b""
    try:
        secret = Path(file).read_bytes().strip()
    except OSError as e:
        raise ConfigurationError(
            f"the webhook's secret cannot be read: {e.strerror}", where=file, mend="set announce.webhook_secret"
        ) from e
    if not secret:
        raise ConfigurationError("the webhook's secret is empty", where=file, mend="write a random secret into it")
    return secret


class _Worker:
    def __init__(self, way: Way, longest: int) -> None:
        self._way = way
        self._longest = longest
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._finishing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"announce {way.name}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        with self._changed:
            if len(self._events) >= self._longest:
                lost = self._events.popleft()
                _log.error("announcement given up, too many wait", way=self._way.name, event_id=lost.id)
            self._events.append(event)
            self._changed.notify()

    def finish(self) -> None:
        with self._changed:
            self._finishing = True
            self._changed.notify()

    def close(self, until_s: float) -> None:
        self._thread.join(max(0.0, until_s - time.monotonic()))
        self._stopping.set()
        self._thread.join(1.0)
        if self._events:
            _log.error("stopped before all was announced", way=self._way.name, waiting=len(self._events))

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._finishing)
                if not self._events:
                    return
                event = self._events.popleft()
            try:
                self._way.tell(event, self._stopping)
            except Exception:  # noqa: BLE001 - logged with its trace: one event's fault must not silence the next
                _log.exception("announcement failed", way=self._way.name, event_id=event.id)
