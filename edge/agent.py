"""The agent on the device: builds the parts and wires them, the only file of the edge that does.

One thread for each machine (sensor to outbox), one event loop for the network, the outbox's file between them. To stop:
stop producing, deliver within a deadline, stop sending. What is not delivered is kept.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from edge import wire
from edge.carry.copy import unpack
from edge.clock import DeviceClock
from edge.config import EdgeConfig, certificates_of, zones_of
from edge.detection import Detector
from edge.features import Extractor
from edge.machine.bundles import Bundles
from edge.machine.keeper import Keeper
from edge.machine.ledger import Ledger
from edge.machine.loop import MachineLoop, Order
from edge.machine.threads import in_thread
from edge.monitoring.health import HealthCheck
from edge.monitoring.meter import Labels, Meter
from edge.monitoring.notify import notify, watchdog_s
from edge.monitoring.status import StatusPage
from edge.offline import Offline
from edge.outbox import Outbox, Parcel, Range, StoreLock
from edge.outbox.outbox import DROPPED, NEVER_KEPT, UNREADABLE
from edge.recorder.sender import FlightSender
from edge.sources import Source
from edge.updater import Command, Updater
from edge.updater.client import RolloutClient
from edge.uplink import Deadlines, Identity, Link, Recall, Uplink
from edge.uplink.pace import Backoff
from models.errors import RecordingRejected, Unavailable, WrongUse
from models.tracing import open_traces

_REASONS = {DROPPED: "store full", NEVER_KEPT: "disk failed", UNREADABLE: "unreadable"}  # as labels
_JOIN_S = 5.0  # for the sampling threads to end after their sensors are closed
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a command says beside the configuration."""

    software_version: str = ""
    ledger: Path | None = None
    wait_for_bundle: bool = False  # no window before there is a model
    stay: bool = False  # after the last window, stay connected


class Agent:
    """One device over one store, whose lock the caller holds."""

    def __init__(self, config: EdgeConfig, sources: Sequence[Source], options: RunOptions) -> None:
        store = Path(config.store)
        self._config = config
        self._options = options
        self._stopping = threading.Event()
        self._ledger = Ledger(options.ledger)
        self._meter = Meter()
        self._traces = open_traces("forewarn-edge")
        self._outbox = Outbox(store / "outbox.sqlite", gap=self._gap, quota_bytes=config.outbox.quota_bytes)
        self._bundles = Bundles()
        self._clock = DeviceClock(self._outbox.state("clock"))
        self._ask_gauges()
        self._link = Link(config.gateways, certificates_of(config))
        self._identity = self._make_identity(sources)
        self._uplink = self._make_uplink()
        self._updater = self._make_updater(sources, store / "models")
        self._offline = Offline(config, store, len(sources))
        self._loops = [self._make_loop(s) for s in sources]
        learners = [(loop.machine.name, loop) for loop in self._loops]
        self._recall = Recall(self._link.channel, self._identity, learners, self._on_copy)
        self._flight = FlightSender(
            self._outbox,
            store / "flight",
            {s.sensor.machine.name: s.replay for s in sources},
            quota_bytes=config.outbox.quota_bytes,
            ledger=self._ledger,
            meter=self._meter,
        )
        self._status = StatusPage(self._meter, self.wrong)
        self._health = HealthCheck(self.wrong)
        self.rejected: list[RecordingRejected] = []  # recordings that turned out bad while they were replayed

    def _gap(self, ranges: Sequence[Range], reason: str) -> Parcel:
        """A report of what will never come, and a count of it."""
        lost = sum(last - first + 1 for first, last in ranges)
        self._meter.add("dropped_records_total", lost, reason=_REASONS.get(reason, "refused"))
        return wire.gap_parcel(ranges, reason)

    def _ask_gauges(self) -> None:
        def models() -> dict[Labels, float]:
            return {(("machine_class", c), ("bundle", b)): 1.0 for c, b in self._bundles.names().items()}

        self._meter.ask("kept_bytes", lambda: {(): float(self._outbox.kept_bytes)})
        self._meter.ask("model_info", models)
        self._meter.ask("clock_suspect", lambda: {(): float(self._clock.suspect)})
        self._meter.set("quota_bytes", self._config.outbox.quota_bytes)

    def wrong(self) -> list[str]:
        """What keeps this device from watching its machines; being without the cloud is nothing wrong."""
        return [said for loop in self._loops if (said := loop.wrong())]

    async def _watch(self, every_s: float) -> None:
        """Say to the service manager that this process works, as long as it does."""
        while True:
            if not self.wrong():
                notify("WATCHDOG=1")
            await asyncio.sleep(every_s)

    def _make_identity(self, sources: Sequence[Source]) -> Identity:
        c = self._config
        return Identity(
            enterprise=c.enterprise,
            site=c.site,
            device=c.device,
            software_version=self._options.software_version,
            machines=tuple(s.sensor.machine for s in sources),
        )

    def _make_uplink(self) -> Uplink:
        c = self._config
        deadlines = Deadlines(
            welcome_s=c.uplink.welcome_seconds, alert_s=c.uplink.alert_seconds, stored_s=c.uplink.stored_seconds
        )
        return Uplink(
            self._outbox,
            self._link,
            self._identity,
            deadlines=deadlines,
            longest_retry_s=c.uplink.longest_retry_seconds,
            meter=self._meter,
            traces=self._traces,
        )

    def _make_updater(self, sources: Sequence[Source], slots: Path) -> Updater:
        c = self._config
        # without `trust` no class follows a model: the updater then only brings the crew's orders
        classes = sorted({s.sensor.machine.machine_class for s in sources}) if c.trust else []
        client = RolloutClient(
            self._link.channel, enterprise=c.enterprise, site=c.site, device=c.device, machine_classes=classes
        )
        return Updater(
            client,
            slots,
            Path(c.trust),
            self._bundles.load,
            machine_classes=classes,
            on_withdrawn=self._bundles.withdraw,
            on_command=self._on_command,
        )

    def _make_loop(self, source: Source) -> MachineLoop:
        machine = source.sensor.machine
        detection = self._config.detection
        if source.every_s is not None:
            detection = msgspec.structs.replace(detection, every_s=source.every_s)
        keeper = Keeper(
            self._outbox,
            self._ledger,
            replay=source.replay,
            hurried=source.hurried,
            simulated=machine.simulated,
            high_water_bytes=self._config.outbox.quota_bytes // 2,
            stopping=self._stopping,
        )
        return MachineLoop(
            source,
            Extractor(machine, self._config.features),
            Detector(machine, detection),
            keeper,
            self._outbox,
            self._bundles,
            self._config.records,
            stopping=self._stopping,
            wait_for_bundle=self._options.wait_for_bundle,
            meter=self._meter,
            clock=self._clock,
            witness=self._offline.witness(machine, source.every_s),
            zones=zones_of(self._config, machine.name),
        )

    def _on_command(self, command: Command) -> None:
        if command.kind == "send_flight":
            self._flight.ask(command)
            return
        for loop in self._loops:
            if loop.machine.name == command.machine:
                loop.order(Order(command.kind, command.alert_key))

    def _on_copy(self, machine: str, data: bytes) -> None:
        """What an earlier device had learned of a machine, as the cloud kept it."""
        try:
            copies = {copy.machine: copy for copy in unpack(data)}
        except WrongUse as e:
            _log.error("copy of an earlier device not understood, learning anew", machine=machine, reason=str(e))
            return
        for loop in self._loops:
            if loop.machine.name == machine and machine in copies:
                loop.order(Order("take_over", copy=copies[machine]))

    async def run(self) -> None:
        """Listen, judge and deliver until the sources end or a signal says stop; see `RunOptions.stay`."""
        told = asyncio.Event()
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, told.set)
        self._updater.load_current()  # before the first window, without the network
        self._offline.start()
        self._flight.start()
        background: list[asyncio.Task[None]] = []
        if self._config.gateways:
            background.append(asyncio.create_task(_keep_running("uplink", self._uplink.run)))
            background.append(asyncio.create_task(_keep_running("recall", self._recall.run)))
            background.append(asyncio.create_task(_keep_running("updater", self._updater.run)))
        if self._config.status_port and (port := await self._status.start(self._config.status_port)):
            _log.info("status page", address=f"http://127.0.0.1:{port}")
        if self._config.health_port and (port := await self._health.start(self._config.health_port)):
            _log.info("health check", address=f"127.0.0.1:{port}")
        if every_s := watchdog_s():
            background.append(asyncio.create_task(self._watch(every_s)))
        notify("READY=1")
        listening = [asyncio.create_task(self._listen(loop)) for loop in self._loops]
        stop = asyncio.create_task(told.wait())
        try:
            if await self._sources_ended(listening, stop):
                self._ledger.end()
                await self._deliver(stop)
            await self._stop_listening(listening)
            await self._drain()
        finally:
            notify("STOPPING=1")
            await self._stop_listening(listening)
            await self._status.stop()
            await self._health.stop()
            for task in (*background, *listening, stop):
                task.cancel()
            await asyncio.gather(*background, *listening, stop, return_exceptions=True)
            await self._link.close()
            if self._traces is not None:
                await asyncio.to_thread(self._traces.close)
            await asyncio.to_thread(self._flight.close)
            await asyncio.to_thread(self._offline.close)
            self._keep_untold()
            self._outbox.close()
            self._ledger.close()

    async def _listen(self, loop: MachineLoop) -> None:
        """One machine's loop in a thread; a bad recording does not stop the other machines."""
        try:
            await in_thread(loop.run, name=f"machine {loop.machine.name}")
        except RecordingRejected as e:
            _log.error("recording rejected", reason=str(e))
            self.rejected.append(e)

    async def _sources_ended(self, listening: Sequence[asyncio.Task[None]], stop: asyncio.Task[Any]) -> bool:
        """True when every source has ended by itself, False when a signal came first; a loop's failure is raised."""
        left: set[asyncio.Task[Any]] = {*listening}
        while left and not stop.done():
            done, _ = await asyncio.wait({*left, stop}, return_when=asyncio.FIRST_COMPLETED)
            for task in done & left:
                task.result()
            left -= done
        return not left

    async def _deliver(self, stop: asyncio.Task[Any]) -> None:
        """After the last window: until all is stored, or for as long as the caller wants the device to stay."""
        if self._options.stay:
            await stop
        if self._options.stay or not self._config.gateways:
            return
        drained = asyncio.create_task(self._uplink.drained())
        await asyncio.wait({drained, stop}, return_when=asyncio.FIRST_COMPLETED)
        drained.cancel()

    async def _stop_listening(self, listening: Sequence[asyncio.Task[None]]) -> None:
        self._stopping.set()
        for loop in self._loops:
            loop.stop()
        if listening:
            await asyncio.wait(listening, timeout=_JOIN_S)

    def _keep_untold(self) -> None:
        """What was announced since the last window is not announced again, and what was not, is."""
        try:
            self._outbox.append([], self._offline.untold())
        except Unavailable as e:
            _log.error("the announcements' state not kept, some may come twice", reason=str(e))

    async def _drain(self) -> None:
        """Deliver what is kept, within the deadline; without a cloud it stays kept."""
        if not self._config.gateways:
            return
        try:
            async with asyncio.timeout(self._config.stop_seconds):
                await self._uplink.drained()
        except TimeoutError:
            _log.warning("stopped before all was delivered", kept_bytes=self._outbox.kept_bytes)


async def _keep_running(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part of the network's side to its end, anew after a failure: it must never stop the listening."""
    backoff = Backoff(1.0, 60.0)
    while True:
        try:
            return await run()
        except Exception:  # noqa: BLE001 - logged with its trace, and begun anew; cancelling passes through
            _log.exception("part failed, starting it again", part=name)
        await asyncio.sleep(backoff.next_s())


def run_agent(config: EdgeConfig, sources: Sequence[Source], options: RunOptions) -> list[RecordingRejected]:
    """Run a device to its end; returns the recordings that turned out bad. WrongUse when its store is in use."""
    with StoreLock(Path(config.store)):
        agent = Agent(config, sources, options)
        asyncio.run(agent.run())
        return agent.rejected
