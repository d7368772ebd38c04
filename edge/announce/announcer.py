"""Between the sampling threads and those who are told: a bounded queue and a thread for each way.

Whoever announces never waits. A way that is slow or broken delays only itself; when its queue is full, its oldest
change is given up, and the log says so. What waits is part of the machine's state, kept in the transaction of the
window that it follows from: a restart goes on telling it, the same words under the same id, and tells at most again
what was told since the last window.
"""

# ruff: noqa: PLC0415 - a device without a webhook does not carry an HTTP client
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge.announce.config import AnnounceConfig
from edge.announce.event import Event, Sender, event_of
from edge.announce.relay import Relay
from edge.announce.worker import Way, Worker
from edge.types import Alarm, Machine
from models.errors import ConfigurationError


class _Waiting(msgspec.Struct, frozen=True, array_like=True):
    """One event that one way has still to tell, as it is kept."""

    way: str
    id: str
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[_Waiting])


class Announcer:
    """Tells of each change of an alarm on every configured way."""

    def __init__(self, ways: Sequence[Way], sender: Sender, *, longest_queue: int = 256) -> None:
        self._sender = sender
        self._workers = {way.name: Worker(way, longest_queue) for way in ways}

    @classmethod
    def of(cls, config: AnnounceConfig, sender: Sender) -> Announcer:
        """What a configuration asks for; ConfigurationError when the secret cannot be read."""
        ways: list[Way] = []
        if config.relay:
            ways.append(Relay(config.relay, config.relay_seconds, retry_s=config.relay_retry_seconds))
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
            for worker in self._workers.values():
                worker.put(machine.name, event)

    def close(self, within_s: float = 3.0) -> None:
        """Tell what waits, within the deadline, and end; what `state` names afterwards was not told."""
        until = time.monotonic() + within_s
        for worker in self._workers.values():
            worker.finish()
        for worker in self._workers.values():
            worker.close(until)

    # --- what outlives a restart ----------------------------------------------------------------------------------

    def state(self, machine: str) -> dict[str, bytes]:
        """What one machine's alarms have still to be told, whole each time; from any thread."""
        waiting = [_Waiting(n, e.id, e.body) for n, w in self._workers.items() for e in w.waiting(machine)]
        return {f"announce/{machine}": _encoder.encode(waiting)}

    def restore(self, machine: str, state: Callable[[str], bytes | None]) -> None:
        """Go on telling what an earlier run did not; ValueError when it is not understood."""
        data = state(f"announce/{machine}")
        for waiting in _decoder.decode(data) if data else ():
            if worker := self._workers.get(waiting.way):
                worker.put(machine, Event(waiting.id, waiting.body))


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
