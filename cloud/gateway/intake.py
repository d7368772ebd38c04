"""What is known of each device's stream of records while it passes through this gateway.

All sessions of one device and epoch share one `Intake`: a device that reconnects while its records wait for their
segment neither doubles them nor forgets them. Only the catalogue is the truth: what this file thinks saves work, and
the commit checks it once more.

Of two sessions of one device, the newest Hello holds it, whatever their epochs: copies of a store part their epochs as
soon as their contents differ, and are still two holders of one name. A session that ended by itself leaves what it sent
to its successor of the same epoch; one that a newer Hello ended (a cloned device, a half-open connection) takes it
along: what was not committed is dropped, and its sender, who never heard `stored`, still has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from cloud.gateway.budget import Budget
from cloud.gateway.records import Rejected, Stream
from cloud.gateway.statuses import Replaced
from cloud.ranges import Range, Ranges

_REFUSALS = 1000  # told to a device in one acknowledgement; the others are in quarantine all the same


class Outgoing:
    """The acknowledgements that wait to be sent to one session; they merge, so a slow reader costs no memory."""

    def __init__(self) -> None:
        self._received = Ranges()
        self._stored = Ranges()
        self._rejected: list[Rejected] = []
        self._part_bytes = 0
        self.ready = asyncio.Event()
        self.fenced = False  # a newer session holds the stream
        self.stop: Callable[[], object] = lambda: None  # ends the reading

    def fence(self) -> None:
        """A newer session holds the stream: nothing more of this one is read."""
        self.fenced = True
        self.stop()
        self.ready.set()

    def add(
        self,
        *,
        received: Iterable[Range] = (),
        stored: Iterable[Range] = (),
        rejected: Iterable[Rejected] = (),
        part_bytes: int = 0,
    ) -> None:
        """Put more on the pile; `part_bytes` is all that was taken of parts, not what is new."""
        self._received.update(received)
        self._stored.update(stored)
        self._rejected += rejected
        del self._rejected[_REFUSALS:]
        self._part_bytes = max(self._part_bytes, part_bytes)
        if self._received or self._stored or self._part_bytes:
            self.ready.set()

    def take(self) -> tuple[Ranges, Ranges, list[Rejected], int]:
        """Return the pile and start a new one."""
        pile = self._received, self._stored, self._rejected, self._part_bytes
        self._received, self._stored, self._rejected, self._part_bytes = Ranges(), Ranges(), [], 0
        self.ready.clear()
        return pile


class Intake:
    """One stream: what is stored, and what is in memory on its way there."""

    def __init__(
        self, stream: Stream, session: int = 0, device_bytes: int = 1 << 62, credit_bytes: int = 1 << 62
    ) -> None:
        self.stream = stream
        self.session = session  # the newest Hello's number
        self.stored = Ranges()
        self.pending = Ranges()
        self.sessions: set[Outgoing] = set()
        self.budget = Budget(device_bytes)
        self._credit = credit_bytes
        self.fenced = False
        self._digests: dict[tuple[int, int], bytes] = {}  # of the pending batches

    @property
    def little(self) -> bool:
        """Whether no more than its credit waits to be stored of this device: then it does not wait for a flood's."""
        return self.budget.used <= self._credit

    def take(self, first: int, last: int, digest: bytes = b"") -> tuple[list[Range], list[Range]]:
        """Claim the sequences that are new; return them, and those that are stored already.

        `Replaced` when the same sequences are pending with other content: two holders of one identity.
        """
        if self._digests.setdefault((first, last), digest) != digest:
            raise Replaced(
                f"records {first} to {last} are on their way with other content",
                where=f"{self.stream.site}/{self.stream.device}",
                mend="is this device a copy of another one? Give each a name and a store of its own",
            )
        known = self.stored.overlap(first, last)
        taken = known + self.pending.overlap(first, last)
        new = list(Ranges(taken).missing(first, last)) if taken else [(first, last)]
        self.pending.update(new)
        return new, known

    def commit(self, stored: Ranges, rejected: Iterable[Rejected]) -> None:
        """Note that `stored` is in the catalogue and tell every session."""
        for first, last in stored:
            self.pending.remove(first, last)
        self._digests = {k: d for k, d in self._digests.items() if self.pending.overlap(*k)} if self.pending else {}
        self.stored.update(stored)
        for session in self.sessions:
            session.add(stored=stored, rejected=rejected)

    def fence(self) -> None:
        """End all sessions: what is pending will not be stored."""
        self.fenced = True
        for session in self.sessions:
            session.fence()


class Intakes:
    """The intakes of this gateway. One that nobody uses and that holds nothing is forgotten."""

    def __init__(
        self,
        device_bytes: int = 1 << 62,
        dropped: Callable[[Intake], None] = lambda intake: None,
        *,
        credit_bytes: int = 1 << 62,
    ) -> None:
        self._by_stream: dict[Stream, Intake] = {}
        self._holders: dict[tuple[str, str], Intake] = {}  # by site and device: whose session is open
        self._device_bytes, self._credit_bytes = device_bytes, credit_bytes
        self.dropped = dropped  # told of an intake whose pending records are not to be stored

    def attach(self, stream: Stream, outgoing: Outgoing, session: int) -> Intake:
        """Return the stream's intake with a session attached; `stored` is then set from the catalogue.

        A session of the device that is still open is fenced; `Replaced` when this one is itself the older.
        """
        holder = self._holders.get((stream.site, stream.device))
        if any(i is not None and i.session > session for i in (holder, self._by_stream.get(stream))):
            raise Replaced("a newer session of this device holds the stream", where=f"{stream.site}/{stream.device}")
        if holder is not None:
            self.fence(holder)
        intake = self._by_stream.get(stream)
        if intake is None or intake.fenced:
            intake = self._by_stream[stream] = Intake(stream, session, self._device_bytes, self._credit_bytes)
        intake.session = session
        intake.sessions.add(outgoing)
        self._holders[stream.site, stream.device] = intake
        return intake

    def fence(self, intake: Intake) -> None:
        """A newer session, here or elsewhere, holds the device: end this one and drop what waits."""
        if not intake.fenced:
            intake.fence()
            self.dropped(intake)
        if self._by_stream.get(intake.stream) is intake:
            del self._by_stream[intake.stream]
        self._let_go(intake)

    def _let_go(self, intake: Intake) -> None:
        name = (intake.stream.site, intake.stream.device)
        if self._holders.get(name) is intake:
            del self._holders[name]

    def fence_older(self, newest: Mapping[tuple[str, str], int]) -> None:
        """Fence every open intake whose device (site, name) has a newer session at another gateway."""
        for intake in [i for name, i in self._holders.items() if newest.get(name, 0) > i.session]:
            self.fence(intake)

    def detach(self, intake: Intake, outgoing: Outgoing) -> None:
        """The session ended; what it sent stays on its way."""
        intake.sessions.discard(outgoing)
        if not intake.sessions:
            self._let_go(intake)
        self._forget(intake)

    def commit(self, stream: Stream, stored: Ranges, rejected: Iterable[Rejected]) -> None:
        """Note what was committed."""
        intake = self._by_stream.get(stream)
        if intake is not None:  # also one that succeeded the sender: what is stored is stored
            intake.commit(stored, rejected)
            self._forget(intake)

    def _forget(self, intake: Intake) -> None:
        if not intake.sessions and not intake.pending and self._by_stream.get(intake.stream) is intake:
            del self._by_stream[intake.stream]

    def __len__(self) -> int:
        return len(self._by_stream)
