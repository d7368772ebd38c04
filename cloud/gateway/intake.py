"""What is known of each device's stream of records while it passes through this gateway.

All sessions of one device and epoch share one `Intake`: a device that reconnects while its records wait for their
segment neither doubles them nor forgets them. Only the catalogue is the truth: what this file thinks saves work, and
the commit checks it once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from cloud.gateway.records import Rejected, Stream
from cloud.ranges import Ranges

_REFUSALS = 1000  # told to a device in one acknowledgement; the others are in quarantine all the same


class Outgoing:
    """The acknowledgements that wait to be sent to one session; they merge, so a slow reader costs no memory."""

    def __init__(self) -> None:
        self._received = Ranges()
        self._stored = Ranges()
        self._rejected: list[Rejected] = []
        self.ready = asyncio.Event()

    def add(
        self,
        *,
        received: Iterable[tuple[int, int]] = (),
        stored: Ranges | None = None,
        rejected: Iterable[Rejected] = (),
    ) -> None:
        """Put more on the pile."""
        self._received.update(received)
        self._stored.update(stored or ())
        self._rejected += rejected
        del self._rejected[_REFUSALS:]
        if self._received or self._stored:
            self.ready.set()

    def take(self) -> tuple[Ranges, Ranges, list[Rejected]]:
        """Return the pile and start a new one."""
        pile = self._received, self._stored, self._rejected
        self._received, self._stored, self._rejected = Ranges(), Ranges(), []
        self.ready.clear()
        return pile


class Intake:
    """One stream: what is stored, and what is in memory on its way there."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.stored = Ranges()
        self.pending = Ranges()
        self.sessions: set[Outgoing] = set()

    def take(self, first: int, last: int) -> tuple[Ranges, Ranges]:
        """Claim the sequences that are new; return them, and those that are stored already."""
        known = Ranges(self.stored.overlap(first, last))
        new = known.missing(first, last)
        for lo, hi in self.pending.overlap(first, last):
            new.remove(lo, hi)
        self.pending.update(new)
        return new, known

    def commit(self, stored: Ranges, rejected: Iterable[Rejected]) -> None:
        """Note that `stored` is in the catalogue and tell every session."""
        for first, last in stored:
            self.pending.remove(first, last)
        self.stored.update(stored)
        for session in self.sessions:
            session.add(stored=stored, rejected=rejected)


class Intakes:
    """The intakes of this gateway. One that nobody uses and that holds nothing is forgotten."""

    def __init__(self) -> None:
        self._by_stream: dict[Stream, Intake] = {}

    def attach(self, stream: Stream, outgoing: Outgoing) -> Intake:
        """Return the stream's intake with a session attached; `stored` is then set from the catalogue."""
        intake = self._by_stream.setdefault(stream, Intake(stream))
        intake.sessions.add(outgoing)
        return intake

    def detach(self, intake: Intake, outgoing: Outgoing) -> None:
        """The session ended; what it sent stays on its way."""
        intake.sessions.discard(outgoing)
        self._forget(intake)

    def commit(self, stream: Stream, stored: Ranges, rejected: Iterable[Rejected]) -> None:
        """Note what was committed."""
        intake = self._by_stream.get(stream)
        if intake is not None:
            intake.commit(stored, rejected)
            self._forget(intake)

    def _forget(self, intake: Intake) -> None:
        if not intake.sessions and not intake.pending:
            self._by_stream.pop(intake.stream, None)

    def __len__(self) -> int:
        return len(self._by_stream)
