"""How many bytes of records may wait in this gateway's memory: the bound that a slow store runs into."""

from __future__ import annotations

import asyncio


class Budget:
    """Bytes that are taken and given back; whoever wants more waits in line."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []  # an empty deque takes 700 bytes, in each stream

    @property
    def used(self) -> int:
        """Bytes taken and not given back."""
        return self._used

    async def take(self, size: int, *, within_s: float) -> None:
        """Wait until `size` bytes are free, at most `within_s` seconds (then `TimeoutError`).

        What is larger than the limit is let in alone.
        """
        if not self._waiting and self._fits(size):
            self._used += size
            return
        place = asyncio.get_running_loop().create_future()
        entry = (size, place)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(within_s):
                await place
        except (TimeoutError, asyncio.CancelledError):
            if entry in self._waiting:
                self._waiting.remove(entry)
            elif place.done() and not place.cancelled():
                self.give(size)  # granted in the moment of giving up
            self._grant()
            raise

    def give(self, size: int) -> None:
        """Give `size` bytes back."""
        self._used -= size
        self._grant()

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self.limit

    def _grant(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, place = self._waiting.pop(0)
            if not place.done():
                self._used += size
                place.set_result(None)
