"""The one batch of a stream that comes in parts, until it is whole: rules, and a bound on memory and time.

What is not whole is not taken: it is gone with its stream, and the device, which has it still, sends it again. Whole,
it goes the way of every batch. Room for all of it is taken at its first part, so that no two devices wait for each
other's end, and from a budget of its own, so that batches that never end leave the others their room.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import NamedTuple

from cloud.gateway import rules
from cloud.gateway.budget import Budget
from cloud.gateway.statuses import Overloaded
from models.errors import WrongUse

WHOLE_SECONDS = 600.0  # from the first part to the last one: 4 MB at 8 kB/s


class Part(NamedTuple):
    """A piece of a batch."""

    first: int  # sequence of the batch's first record
    digest: bytes  # of the whole batch
    size: int  # of the whole batch, bytes
    offset: int
    data: bytes


class Parts:
    """One stream's batch in parts."""

    def __init__(self, budget: Budget, *, largest_bytes: int, wait_seconds: float) -> None:
        """`budget` is the gateway's for all batches in parts, and `largest_bytes` the largest of them."""
        self._budget = budget
        self._largest = largest_bytes
        self._wait_s = wait_seconds
        self._head: Part | None = None
        self._data = bytearray()
        self.taken = 0  # bytes of parts, all batches together
        self.due_s: float | None = None  # the loop's time by which the batch must be whole

    async def add(self, part: Part) -> bytes | None:
        """Take the next part; the batch's bytes when it is the last one.

        WrongUse when it does not continue the batch, Overloaded when there is no room in time.
        """
        if self._head is None:
            await self._begin(part)
        head = self._head
        assert head is not None
        self._check(head, part)
        self._data += part.data
        self.taken += len(part.data)
        if len(self._data) < head.size:
            return None
        whole = bytes(self._data)
        self.close()
        if blake2b(whole, digest_size=16).digest() != head.digest:
            raise WrongUse(f"the parts of {_name(head)} are together not the batch that its digest names")
        return whole

    async def _begin(self, part: Part) -> None:
        rules.check_range(part.first, 1)
        if not 1 <= part.size <= self._largest:
            raise WrongUse(f"{_name(part)} in parts", mend=f"the largest has {self._largest} bytes")
        if part.offset:
            raise WrongUse(f"{_name(part)} begins at its byte {part.offset}", mend="a new stream begins it anew")
        try:
            await self._budget.take(part.size, within_s=self._wait_s)
        except TimeoutError:
            raise Overloaded(
                "the gateway has no room for one more batch in parts", mend="keep the records and try again later"
            ) from None
        self._head = part
        self.due_s = asyncio.get_running_loop().time() + WHOLE_SECONDS

    def _check(self, head: Part, part: Part) -> None:
        if (part.first, part.digest, part.size) != (head.first, head.digest, head.size):
            raise WrongUse(f"a part of {_name(part)}, and {_name(head)} is not whole yet")
        if part.offset != len(self._data):
            raise WrongUse(f"a part at byte {part.offset} of {_name(head)}, of which {len(self._data)} bytes have come")
        if not 1 <= len(part.data) <= head.size - part.offset:
            raise WrongUse(f"a part of {len(part.data)} bytes at byte {part.offset} of {_name(head)}")

    def overdue(self) -> WrongUse:
        """What to say when the batch was not whole in time."""
        assert self._head is not None
        return WrongUse(
            f"{_name(self._head)} is not whole after {WHOLE_SECONDS:.0f} s: {len(self._data)} bytes have come"
        )

    def close(self) -> None:
        """Forget what is not whole."""
        if self._head is not None:
            self._budget.give(self._head.size)
        self._head, self._data, self.due_s = None, bytearray(), None


def _name(part: Part) -> str:
    return f"batch {part.first} of {part.size} bytes"
