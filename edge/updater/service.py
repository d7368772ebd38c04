"""Keeps the device on the model that is assigned to it: watch, try, switch, say so.

* What runs is replaced only by a bundle that a trial has accepted; until then, and after a refusal, it stays.
* The cloud's word starts a trial and no more: what is trusted is decided by signed metadata inside it.
* A bundle that is at fault is tried once; metadata or a network that is at fault is tried again, ever more rarely.
* One trial at a time, whatever the number of machine classes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from edge.updater.messages import Job, Outcome, Verdict
from edge.updater.orders import Assigned, Command, RolloutLink
from edge.updater.slots import Record, Slots
from edge.updater.trial import Trial
from models.errors import BundleRejected, Unavailable

TRIAL_S = 900.0  # the whole trial, most of it the download over a slow link
CHUNK_S = 30.0  # the longest silence in a download
SHORTEST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
MOST_DEATHS = 3


class Updater:
    """The models of one device; `run` is a task of the agent's event loop."""

    def __init__(
        self,
        client: RolloutLink,
        slots_dir: Path,
        trusted_root: Path | bytes,
        on_bundle: Callable[[Path], None],
        *,
        machine_classes: Sequence[str],
        on_withdrawn: Callable[[str], None] | None = None,
        on_command: Callable[[Command], None] | None = None,
        trial_seconds: float = TRIAL_S,
    ) -> None:
        """`trusted_root` is root.json as it came with the device, or its file; it is read at each trial.

        `on_bundle` takes the path of a verified bundle and runs it from then on; it may refuse with `BundleRejected`,
        and then must go on with what it had. `on_withdrawn` is told the machine class that shall have no model.
        All callbacks are called in the event loop's thread.
        """
        self._client = client
        self._slots = Slots(slots_dir)
        self._trusted_root = trusted_root
        self._on_bundle, self._on_withdrawn, self._on_command = on_bundle, on_withdrawn, on_command
        self._trial_s = trial_seconds
        self._classes = tuple(dict.fromkeys(machine_classes))
        self._wanted: dict[str, str] = {}
        self._running: dict[str, str] = {}
        self._refused: dict[str, str] = {}  # bundle: why; it is not tried again while this process lives
        self._deaths: dict[str, int] = {}
        self._changed = {name: asyncio.Event() for name in self._classes}
        self._one_trial = asyncio.Lock()
        self._loaded = False
        self._log = structlog.get_logger().bind(part="updater")

    @property
    def running(self) -> dict[str, str]:
        """The bundle that runs for each machine class; a class without a model is absent."""
        return dict(self._running)

    def load_current(self) -> None:
        """Run what the slots hold, without the network; `run` does it first if it was not called before."""
        if self._loaded:
            return
        self._loaded = True
        self._slots.sweep()
        for name in self._classes:
            found = self._slots.current(name)
            if found is None:
                continue
            record, path = found
            try:
                self._on_bundle(path)
            except BundleRejected as e:
                self._log.error("bundle in the slot refused", bundle=record.name, reason=str(e))
            else:
                self._running[name] = record.name
                self._log.info("bundle loaded", bundle=record.name, machine_class=name)

    async def run(self) -> None:
        """Follow the assignments until cancelled."""
        self.load_current()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            for name in self._classes:
                group.create_task(self._follow(name))

    async def _watch(self) -> None:
        pause = SHORTEST_RETRY_S
        while True:
            try:
                async for order in self._client.watch(next(iter(self._running.values()), "")):
                    pause = SHORTEST_RETRY_S
                    self._take(order)
            except Unavailable as e:
                self._log.debug("assignments not watched", reason=str(e))
            await asyncio.sleep(_jittered(pause))
            pause = min(2 * pause, LONGEST_RETRY_S / 2)

    def _take(self, order: Assigned | Command) -> None:
        match order:
            case Command() if self._on_command is not None:
                self._on_command(order)
            case Assigned(machine_class, bundle) if machine_class in self._changed:
                self._wanted[machine_class] = bundle
                self._changed[machine_class].set()

    async def _follow(self, machine_class: str) -> None:
        changed = self._changed[machine_class]
        pause: float | None = None  # None: settled, wait for the next assignment
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), pause and _jittered(pause))
                pause = None
            changed.clear()
            if await self._settle(machine_class, self._wanted[machine_class]):
                pause = None
            else:
                pause = min(2 * pause, LONGEST_RETRY_S) if pause else SHORTEST_RETRY_S

    async def _settle(self, machine_class: str, bundle: str) -> bool:
        """Bring the device to `bundle` and report it; False: to be tried again later."""
        if self._running.get(machine_class, "") == bundle:
            return await self._report(bundle)
        if bundle in self._refused:
            return await self._report(bundle, self._refused[bundle])
        async with self._one_trial:
            file = await asyncio.to_thread(self._slots.new_staging_file)
            try:
                verdict = await self._try(machine_class, bundle, file)
                self._log.info("trial ended", bundle=bundle, outcome=verdict.outcome.value, reason=verdict.reason)
                if verdict.outcome is Outcome.ACCEPTED:
                    await self._adopt(machine_class, bundle, file, verdict)
                    return await self._report(bundle)
            except BundleRejected as e:  # by on_bundle: the slot in use was not touched
                verdict = Verdict(Outcome.REFUSED, str(e))
            except OSError as e:
                verdict = Verdict(Outcome.UNAVAILABLE, f"the device's files: {e}")
            finally:
                await asyncio.to_thread(self._slots.discard, file)
        return await self._refuse(bundle, verdict)

    async def _refuse(self, bundle: str, verdict: Verdict) -> bool:
        self._log.warning("bundle refused", bundle=bundle, outcome=verdict.outcome.value, reason=verdict.reason)
        final = verdict.outcome is Outcome.REFUSED
        if verdict.outcome is Outcome.DIED:
            self._deaths[bundle] = self._deaths.get(bundle, 0) + 1
            final = self._deaths[bundle] >= MOST_DEATHS
        if final:
            self._refused[bundle] = verdict.reason
        if verdict.outcome is Outcome.UNAVAILABLE:
            return False
        return await self._report(bundle, verdict.reason) and final

    async def _adopt(self, machine_class: str, bundle: str, file: Path, verdict: Verdict) -> None:
        if not bundle:
            await asyncio.to_thread(self._slots.withdraw, machine_class)
            self._running.pop(machine_class, None)
            if self._on_withdrawn is not None:
                self._on_withdrawn(machine_class)
            return
        path = await asyncio.to_thread(self._slots.install, machine_class, file, Record(bundle, verdict.sha256))
        self._on_bundle(path)
        self._running[machine_class] = bundle
        await asyncio.to_thread(self._slots.switch, machine_class, path)
        self._log.info("bundle switched", bundle=bundle, machine_class=machine_class, trial_mb=verdict.peak_rss_mb)

    async def _try(self, machine_class: str, bundle: str, file: Path) -> Verdict:
        root = self._trusted_root
        job = Job(
            machine_class=machine_class,
            bundle=bundle,
            trusted_root=root if isinstance(root, bytes) else await asyncio.to_thread(root.read_bytes),
            metadata_dir=str(self._slots.metadata_dir),
            file=str(file),
            known_files=self._slots.known_files(machine_class),
        )
        bridge = _Bridge(self._client, asyncio.get_running_loop())
        trial = Trial(job, bridge.fetch, deadline_s=self._trial_s, stop_fetching=bridge.stop)
        try:
            return await asyncio.to_thread(trial.run)
        except asyncio.CancelledError:
            trial.kill()
            raise

    async def _report(self, bundle: str, reason: str = "") -> bool:
        try:
            await self._client.report(bundle, running=not reason, reason=reason)
        except Unavailable as e:
            self._log.debug("report not delivered", bundle=bundle, reason=str(e))
            return False
        return True


class _Bridge:
    """Lets the trial's thread read from the event loop's link, chunk by chunk, so that no file is held in memory."""

    def __init__(self, link: RolloutLink, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._loop = loop
        self._pending: concurrent.futures.Future[bytes | None] | None = None
        self._stopped = False

    def fetch(self, path: str) -> Iterator[bytes]:
        chunks = self._link.fetch(path)
        try:
            while (chunk := self._wait_for(_next(chunks), path)) is not None:
                yield chunk
        finally:  # the trial may end in the middle of a file: the stream must not stay open
            if not self._loop.is_closed():
                asyncio.run_coroutine_threadsafe(chunks.aclose(), self._loop)

    def _wait_for(self, chunk: Coroutine[Any, Any, bytes | None], path: str) -> bytes | None:
        pending = self._pending = asyncio.run_coroutine_threadsafe(chunk, self._loop)
        if self._stopped:
            pending.cancel()
        try:
            return pending.result(CHUNK_S)
        except concurrent.futures.CancelledError as e:
            raise Unavailable("stopped", where=path) from e
        except TimeoutError as e:
            pending.cancel()
            raise Unavailable(f"no data for {CHUNK_S:.0f} s", where=path) from e

    def stop(self) -> None:
        self._stopped = True
        if self._pending is not None:
            self._pending.cancel()


async def _next(chunks: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(chunks, None)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311  # a thousand devices must not come back at once
