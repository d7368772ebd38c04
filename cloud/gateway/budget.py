"""How many bytes of records may wait in this gateway's memory: the bound that a slow store runs into."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class _Place:
    """Somebody's in the line."""

    size: int
    limit: int  # of all that is taken with it
    granted: asyncio.Future[None]


class Budget:
    """Bytes that are taken and given back; whoever wants more waits in line."""

    def __init__(self, limit: int, *, kept: int = 0) -> None:
        """`kept` bytes of the limit are for those who may go first."""
        self.limit = limit
        self._kept = kept
        self._used = 0
        self._waiting: list[_Place] = []  # those who may go first, then the others; a deque takes 700 bytes when empty

    @property
    def used(self) -> int:
        """Bytes taken and not given back."""
        return self._used

    async def take(self, size: int, *, within_s: float, first: bool = False) -> None:
        """Wait until `size` bytes are free, at most `within_s` seconds (then `TimeoutError`); `first`: before others.

        What is larger than the limit is let in alone.
        """
        limit = self.limit if first else self.limit - self._kept
        at = next((i for i, p in enumerate(self._waiting) if p.limit < limit), len(self._waiting))
        if not at and self._fits(size, limit):
            self._used += size
            return
        place = _Place(size, limit, asyncio.get_running_loop().create_future())
        self._waiting.insert(at, place)
        try:
            async with asyncio.timeout(within_s):
                await place.granted
        except (TimeoutError, asyncio.CancelledError):
            if place in self._waiting:
                self._waiting.remove(place)
            elif place.granted.done() and not place.granted.cancelled():
                self.give(size)  # granted in the moment of giving up
            self._grant()
            raise

    def give(self, size: int) -> None:
        """Give `size` bytes back."""
        self._used -= size
        self._grant()

    def _fits(self, size: int, limit: int) -> bool:
        return self._used == 0 or self._used + size <= limit

    def _grant(self) -> None:
        while self._waiting and self._fits(self._waiting[0].size, self._waiting[0].limit):
            place = self._waiting.pop(0)
            if not place.granted.done():
                self._used += place.size
                place.granted.set_result(None)
