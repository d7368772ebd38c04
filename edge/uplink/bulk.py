"""What goes up by the stream, in which order: live windows, what is too large for the window of the link, the backlog.

A parcel that would keep the link busy for longer than a second goes in parts: alerts overtake it between them, and live
windows take turns with them, so that neither waits for the other's end. A gateway of an older version gets it whole,
once no alert waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from edge import wire
from edge.monitoring.meter import Meter
from edge.outbox import Entry, Outbox
from edge.uplink.pace import Pacer
from edge.uplink.signals import EpochEnded, InThread, Signals
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb

MESSAGE_BYTES = 256 * 1024
ENVELOPE_BYTES = 64  # of a batch beside its blob: sequence, digest, framing
_NEVER = 1 << 62  # above every sequence number

Write = Callable[[pb.StreamRequest], Awaitable[Any]]


class Bulk:
    """The records of one session, alerts aside; `run` ends with EpochEnded or with what `write` raises."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        epoch: int,
        head: int,
        pacer: Pacer,
        signals: Signals,
        meter: Meter,
        write: Write,
        in_thread: InThread,
        largest_bytes: int,
        in_parts: bool,
    ) -> None:
        """`head` parts the backlog from live windows; no message is larger than `largest_bytes`."""
        self._outbox = outbox
        self._epoch = epoch
        self._head = head
        self._pacer = pacer
        self._signals = signals
        self._meter = meter
        self._say = write
        self._in_thread = in_thread
        self._largest = largest_bytes
        self._in_parts = in_parts
        self._live, self._backlog = head, 0  # sent so far
        self._large: deque[int] = deque()  # where parcels end that wait to go in parts
        self._cut: Entry | None = None  # the one under way in parts ...
        self._cut_at = 0  # ... and how much of it has left
        self._live_turn = True
        self._schemas_sent: set[str] = set()

    async def run(self) -> None:
        """Send for as long as the session lives."""
        while True:
            self._signals.bulk.clear()
            if not await self._step():
                await self._signals.bulk.wait()

    async def _step(self) -> bool:
        """Send what is next; False where there is nothing, or no room."""
        waiting = self._cut is not None or bool(self._large)
        entries = await self._read(self._live, _NEVER) if self._live_turn or not waiting else []
        self._live_turn = True
        if entries:
            self._live_turn = False
            return await self._batches(entries, live=True)
        if waiting:
            return await self._part()
        entries = await self._read(self._backlog, self._head + 1)
        return bool(entries) and await self._batches(entries, live=False)

    async def _read(self, after: int, before: int) -> list[Entry]:
        limit = max(1, min(self._pacer.room, self._largest))
        entries: list[Entry] = await self._in_thread(partial(self._outbox.read, after, before, limit))
        if self._outbox.epoch != self._epoch:
            raise EpochEnded
        return entries

    async def _batches(self, entries: Sequence[Entry], *, live: bool) -> bool:
        """Send them in one message; only the first can be too large for that."""
        size = len(entries[0].blob) + ENVELOPE_BYTES
        if len(entries[0].blob) > self._largest:
            await self._make_smaller(entries[0])
            return True
        if self._in_parts and size > self._pacer.window:
            self._large.append(entries[0].last)
            entries = entries[:1]
        elif self._may_leave(size):
            await self._write(entries)
        else:
            return False
        if live:
            self._live = entries[-1].last
        else:
            self._backlog = entries[-1].last
        return True

    def _may_leave(self, size: int) -> bool:
        """What keeps the link busy for more than a second, and cannot go in parts, waits for the alerts."""
        return self._pacer.fits(size) and (size <= self._pacer.window or not self._signals.alerts_wait)

    async def _make_smaller(self, entry: Entry) -> None:
        """Part a parcel that is too large between its records; a single record that is too large is set aside."""

        def work() -> None:
            if entry.last > entry.first:
                self._outbox.split(entry, wire.halves(entry.blob))
                return
            reason = f"a record of {len(entry.blob)} bytes, and the gateway takes {self._largest} in one message"
            self._outbox.quarantine(entry.last, reason)

        await self._in_thread(work)

    # --- messages -------------------------------------------------------------------------------------------------

    async def _write(self, entries: Sequence[Entry]) -> None:
        batches = [wire.numbered(e) for e in entries]
        for name in dict.fromkeys(filter(None, map(wire.schema_name_of, batches))):
            await self._write_schema(name)
        for entry in entries:
            self._pacer.sent(entry.first, entry.last, len(entry.blob) + ENVELOPE_BYTES)
        await self._say(pb.StreamRequest(batches=pb.Batches(batches=batches)))
        self._meter.add("sent_records_total", sum(e.last - e.first + 1 for e in entries))

    async def _write_schema(self, name: str) -> None:
        """Send a schema before its first use in this stream. One that was lost is left to the gateway's verdict."""
        if name in self._schemas_sent:
            return
        self._schemas_sent.add(name)
        state = await self._in_thread(lambda: self._outbox.state(name))
        if state is not None:
            await self._say(pb.StreamRequest(schema=wire.schema_message(state)))

    async def _part(self) -> bool:
        """Send one part of the parcel under way, or of the next; False where there is no room for it."""
        entry = self._cut or await self._begin()
        if entry is None:
            return True
        size = min(self._pacer.part, self._largest, len(entry.blob) - self._cut_at)
        if not self._pacer.fits(size):
            return False
        await self._write_part(entry, size)
        if self._cut_at == len(entry.blob):
            self._cut = None
            self._meter.add("sent_records_total", entry.last - entry.first + 1)
        return True

    async def _begin(self) -> Entry | None:
        """Take up the next parcel that goes in parts; None if it was dropped while it waited."""
        last = self._large.popleft()
        entries = await self._read(last - 1, last + 1)
        if not entries:
            return None
        name = wire.schema_name_of(wire.numbered(entries[0]))
        if name is not None:
            await self._write_schema(name)
        self._cut, self._cut_at = entries[0], 0
        return self._cut

    async def _write_part(self, entry: Entry, size: int) -> None:
        part = wire.part(entry, self._cut_at, size)
        self._cut_at += size
        self._pacer.part_sent(entry.first, entry.last, size, whole=self._cut_at == len(entry.blob))
        await self._say(pb.StreamRequest(part=part))
