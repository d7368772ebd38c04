"""Makes records durable: closes a load by size or age, stores it, and only then says so.

Invariants:
- A load's objects are in the store before its transaction begins; `stored` is said after the transaction has ended.
- While store or catalogue are away, the load stays in memory and is tried again with jitter. What devices send
  meanwhile is bounded by the budget, and they keep it themselves until they hear `stored`.
- An object that no commit names is waste, never data: the garbage collection removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import stamina
import structlog

from cloud.catalogue.access import writing
from cloud.catalogue.ingest import Advance, AlreadyStored, CursorKey, Fenced, Ingest, Missing, Quarantined, commit
from cloud.catalogue.lake import Segment
from cloud.gateway import blocks
from cloud.gateway.budget import Budget
from cloud.gateway.intake import Intake, Intakes
from cloud.gateway.latest import Latest
from cloud.gateway.metrics import Metrics
from cloud.gateway.records import Batch, Piece, Rejected, Share, Stream
from cloud.gateway.segments import encode, group
from cloud.lake.objects import new_key, sha256
from cloud.ranges import Range, Ranges
from models.errors import ConfigurationError, Unavailable
from models.tracing import BatchName, Traces

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

log: structlog.stdlib.BoundLogger = structlog.get_logger()
LATEST_SECONDS = 1.0  # how often the pages' newest values are written, at most
PUT_AGAIN_SECONDS = 600.0  # an object that waited longer for its commit could be collected as waste: put it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """When a load is closed."""

    seconds: float
    bytes: int


@dataclass(slots=True)
class Load:
    """What one flush stores, all in one commit."""

    opened_s: float  # when its first record came
    shares: dict[Intake, Share] = field(default_factory=dict)
    bytes: int = 0


class Writer:
    """Collects what the sessions took and stores it, one load after the other."""

    def __init__(
        self,
        *,
        enterprise: str,
        engine: Engine,
        store: ObjectStore,
        intakes: Intakes,
        budget: Budget,
        closing: Closing,
        metrics: Metrics,
        traces: Traces | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._enterprise = enterprise
        self._engine = engine
        self._store = store
        self._intakes = intakes
        self._budget = budget
        self._closing = closing
        self._metrics = metrics
        self._traces = traces
        self._now_ns = now_ns
        self._loads: deque[Load] = deque()  # to be stored, oldest first; the last one is open
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="segment-writer")
        self._latest = Latest(enterprise)
        self._latest_s = 0.0

    def add(self, batch: Batch, new: list[Range], intake: Intake, size: int) -> None:
        """Take the new records of one batch; `size` was taken from both budgets, and goes back when they are stored."""
        load = self._load_of(intake)
        share = load.shares.get(intake)
        if share is None:
            share = load.shares[intake] = Share()
        share.add(batch, new, size)
        load.bytes += size
        if load.bytes >= self._closing.bytes:
            self._changed.set()

    def _load_of(self, intake: Intake) -> Load:
        """The first load with room: a quarter more for those of whom little waits, so that no flood holds them up."""
        size = self._closing.bytes * 5 // 4 if intake.little else self._closing.bytes
        for load in self._loads:
            if load.bytes < size:
                return load
        self._loads.append(Load(time.monotonic()))
        self._idle.clear()
        self._changed.set()
        return self._loads[-1]

    def drop(self, intake: Intake) -> None:
        """Forget what waits of a fenced intake; what is already on its way is stopped by the commit."""
        for load in self._loads:
            share = load.shares.pop(intake, None)
            if share is not None:
                load.bytes -= share.bytes
                self._give(intake, share)
        self._loads = deque(load for load in self._loads if load.shares)
        self._changed.set()

    def _give(self, intake: Intake, share: Share) -> None:
        self._budget.give(share.bytes)
        intake.budget.give(share.bytes)

    async def run(self) -> None:
        """Store loads until cancelled."""
        while True:
            await self._wait()
            if self._load_due():
                await self._keep(self._loads.popleft())
            if self._latest_due():
                await self._write_latest()
            if not self._loads:
                self._idle.set()

    async def drain(self) -> None:
        """Store everything that was taken, without waiting for size or age."""
        self._draining = True
        self._changed.set()
        await self._idle.wait()

    def _load_due(self) -> bool:
        if not self._loads:
            return False
        first = self._loads[0]
        old = time.monotonic() >= first.opened_s + self._closing.seconds
        return old or self._draining or first.bytes >= self._closing.bytes

    def _latest_due(self) -> bool:
        return bool(self._latest) and (self._draining or time.monotonic() >= self._latest_s + LATEST_SECONDS)

    async def _wait(self) -> None:
        """Wait until a load or the newest values are due."""
        while not (self._load_due() or self._latest_due()):
            self._changed.clear()
            times = [self._loads[0].opened_s + self._closing.seconds] if self._loads else []
            times += [self._latest_s + LATEST_SECONDS] if self._latest else []
            wait_s = max(min(times) - time.monotonic(), 0.0) if times else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    async def _keep(self, load: Load) -> None:
        """Store one load, however long store and catalogue are away, and tell the devices."""
        attempt = _Attempt(self, load)
        await self._in_thread(attempt.judge)
        async for trial in stamina.retry_context(
            on=(Unavailable, ConfigurationError),
            attempts=None,
            timeout=None,
            wait_initial=0.1,
            wait_max=5.0,
            wait_jitter=0.5,
        ):
            with trial:
                if trial.num > 1:
                    self._metrics.retries.inc()
                await self._in_thread(attempt.run)
        for intake, share in load.shares.items():
            if intake.stream not in attempt.fenced:
                refused = [r for r in attempt.rejected if r.stream == intake.stream] if attempt.rejected else []
                self._intakes.commit(intake.stream, share.sequences, refused)
                self._trace(intake.stream, share)
        for piece in attempt.pieces:
            self._metrics.stored.labels(piece.block.kind.label).inc(len(piece.rows))
        self._latest.add(attempt.pieces)
        again = Load(load.opened_s)
        for intake, share in load.shares.items():
            if attempt.inherited(intake):
                again.shares[intake] = share
                again.bytes += share.bytes
                continue
            self._give(intake, share)
            if intake.stream in attempt.fenced:
                self._intakes.fence(intake)
        if again.shares:
            self._loads.appendleft(again)

    def _trace(self, stream: Stream, share: Share) -> None:
        if self._traces is None:
            return
        for batch in share.batches:
            name = BatchName(self._enterprise, stream.site, stream.device, stream.epoch, batch.first)
            self._traces.stored(name, batch.received_ns, self._now_ns())

    def _note_rejected(self, stream: Stream, rejected: list[Rejected]) -> None:
        for one in rejected:
            self._metrics.rejected.labels(one.code.name.lower()).inc()
        first = rejected[0]
        log.warning(
            "records quarantined", device=stream.device, count=len(rejected), first=first.sequence, reason=first.reason
        )

    async def _write_latest(self) -> None:
        latest = self._latest.take()

        def write() -> None:
            with writing(self._engine) as connection:
                latest.write(connection)

        try:
            await self._in_thread(write)
        except Unavailable as e:  # the next second brings newer values
            log.warning("latest values not written", reason=str(e))
        self._latest_s = time.monotonic()

    async def _in_thread(self, call: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Let the thread go; what it does just now ends by its own bounds."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class _Attempt:
    """One load on its way into store and catalogue; keeps what a failed trial achieved for the next one."""

    def __init__(self, writer: Writer, load: Load) -> None:
        self._writer = writer
        self._shares = {intake.stream: share for intake, share in load.shares.items()}
        self._intakes = {intake.stream: intake for intake in load.shares}
        self._sequences = {stream: share.sequences.copy() for stream, share in self._shares.items()}
        self.pieces: list[Piece] = []
        self.rejected: list[Rejected] = []  # as the devices hear it
        self._quarantined: list[Rejected] = []  # of them, what is not in quarantine yet
        self._segments: list[Segment] | None = None
        self._put_s = 0.0
        self.fenced: set[Stream] = set()
        self._sessions = {s: intake.session for s, intake in self._intakes.items()}  # as the catalogue is told

    def inherited(self, intake: Intake) -> bool:
        """Whether its device has connected to this gateway again meanwhile: what waits is the new session's now."""
        newer = intake.session > self._sessions[intake.stream]
        return intake.stream in self.fenced and newer and not intake.fenced

    def run(self) -> None:
        """Put what is not in the store yet, then commit; runs in the writer's thread."""
        while True:
            if self._segments is None or time.monotonic() - self._put_s > PUT_AGAIN_SECONDS:
                self._segments = self._put()
            try:
                metrics = self._writer._metrics
                with metrics.timed(metrics.commit_seconds), writing(self._writer._engine) as connection:
                    commit(connection, self._writer._enterprise, self._ingest(), self._writer._now_ns())
                return
            except AlreadyStored as e:
                log.info("another gateway was first", records=sum(map(len, e.ranges.values())))
                self._without(e)
            except Fenced as e:
                self._drop({Stream(k.site, k.device, k.epoch) for k in e.keys})

    def judge(self) -> None:
        """Find the good rows and those that go to quarantine."""
        for stream, share in self._shares.items():
            pieces, rejected = blocks.judged(stream, share)
            self.pieces += pieces
            self.rejected += rejected
            if rejected:
                self._writer._note_rejected(stream, rejected)
        self._quarantined = self.rejected

    def _put(self) -> list[Segment]:
        writer, now_ns = self._writer, self._writer._now_ns()
        self._put_s = time.monotonic()
        segments = []
        for key, pieces in group(self.pieces).items():
            made = encode(key, pieces)
            path = new_key(writer._enterprise, key.site, key.kind, now_ns)
            with writer._metrics.timed(writer._metrics.put_seconds):
                writer._store.put(path, made.data)
            writer._metrics.segment_bytes.labels(key.kind).observe(len(made.data))
            segments.append(
                Segment(
                    site=key.site,
                    path=path,
                    kind=key.kind,
                    schema=key.schema,
                    rows=made.rows,
                    bytes=len(made.data),
                    sha256=sha256(made.data),
                    first_time_ns=made.first_time_ns,
                    last_time_ns=made.last_time_ns,
                    machines=made.machines,
                    last_received_ns=made.last_received_ns,
                )
            )
        return segments

    def _without(self, stored: AlreadyStored) -> None:
        """Take out what another gateway stored; the objects that hold it are waste from now on."""
        known = {Stream(k.site, k.device, k.epoch): ranges for k, ranges in stored.ranges.items()}
        self.pieces = blocks.without(self.pieces, known)
        self._quarantined = [r for r in self._quarantined if not known.get(r.stream, Ranges()).contains(r.sequence)]
        for stream, ranges in known.items():
            for first, last in ranges:
                self._sequences[stream].remove(first, last)
        self._discard()

    def _drop(self, streams: set[Stream]) -> None:
        """Take out what sessions sent that a newer Hello replaced; their devices have it still."""
        log.info("a newer session holds the stream", devices=sorted({s.device for s in streams}))
        self.fenced |= streams
        self.pieces = [p for p in self.pieces if p.block.stream not in streams]
        self._quarantined = [r for r in self._quarantined if r.stream not in streams]
        self._discard()

    def _discard(self) -> None:
        waste, self._segments = self._segments or [], None
        for one in waste:
            try:
                self._writer._store.delete(one.path)
            except Unavailable as e:
                log.warning("waste left for the garbage collection", path=one.path, reason=str(e))

    def _ingest(self) -> Ingest:
        assert self._segments is not None
        enterprise = self._writer._enterprise
        key = {s: CursorKey(enterprise, s.site, s.device, s.epoch) for s in self._shares if s not in self.fenced}
        self._sessions |= {s: self._intakes[s].session for s in key}
        heads = {s: (self._shares[s].head.sequence, self._shares[s].head.digest) for s in key}
        joined = [p.block for p in self.pieces]
        return Ingest(
            segments=self._segments,
            advances={key[s]: Advance(self._sequences[s], heads[s], self._sessions[s]) for s in key},
            quarantined=[
                Quarantined(key[r.stream], r.sequence, r.code.name.lower(), r.reason, r.record)
                for r in self._quarantined
            ],
            missing=[Missing(key[b.stream], g.first, g.last, g.reason) for b in joined for g in b.gaps],
            schemas={b.schema.id: (b.schema.columns, b.schema.units) for b in joined if b.schema is not None},
        )
