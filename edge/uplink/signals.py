"""What the tasks of a session share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class EpochEnded(Exception):
    """The store's epoch is another one than this stream's; a new stream is needed, at once."""


class Signals:
    """Wakes the tasks of a session: something new is kept, room came back, something is stored."""

    def __init__(self) -> None:
        self.bulk = asyncio.Event()
        self.alerts = asyncio.Event()
        self.stored = asyncio.Event()
        self.alerts_wait = True

    def kept(self) -> None:
        """Something new is in the outbox."""
        self.bulk.set()
        self.alerts.set()
