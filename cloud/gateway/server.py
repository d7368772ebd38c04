"""Starts and ends a gateway: the gRPC server, the writer, the downlink's poll and the compaction.

Everything durable is in the catalogue and the object store, so a gateway can be killed at any time and started
anywhere. Ended kindly, it stops reading, stores what it has, says so, and then closes its streams.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cloud.catalogue.access import reading, writing
from cloud.catalogue.ingest import CursorKey, DeviceFacts, newest_session, note_fenced, sessions_since
from cloud.config import CloudConfig
from cloud.gateway.alerts import Alerts, Take
from cloud.gateway.budget import Budget
from cloud.gateway.greeter import Greeter
from cloud.gateway.intake import Intakes
from cloud.gateway.metrics import Metrics
from cloud.gateway.recall import Recalls
from cloud.gateway.records import Mark, Stream
from cloud.gateway.rollout import Board, Rollout
from cloud.gateway.session import Greeted, Limits, Telemetry
from cloud.gateway.tls import Callers, server_credentials
from cloud.gateway.wire import Hello
from cloud.gateway.writer import Closing, Writer
from cloud.lake.compaction import Compactor
from cloud.lake.reader import Lake
from models.addresses import is_loopback
from models.errors import ConfigurationError, Unavailable
from models.tracing import Traces
from protos.forewarn.alert.v1 import alert_pb2_grpc
from protos.forewarn.rollout.v1 import rollout_pb2_grpc
from protos.forewarn.telemetry.v1 import telemetry_pb2_grpc

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

log: structlog.stdlib.BoundLogger = structlog.get_logger()
LARGEST_MESSAGE = 4 * 1024 * 1024
_THREADS = 8  # for short calls to catalogue and store
FENCE_SECONDS = 1.0  # how often a gateway looks for newer sessions of its devices at other gateways
_SKEW_NS = 60 * 1_000_000_000  # between the clocks of two gateways

_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.so_reuseport", 0),  # a second gateway on the same port is a mistake to be told
    ("grpc.keepalive_time_ms", 20_000),  # a half-open connection ends after time + timeout
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # devices behind NAT ping as well
]


class Gateway:
    """One gateway process's services over a catalogue and an object store."""

    def __init__(
        self,
        config: CloudConfig,
        *,
        engine: Engine,
        store: ObjectStore,
        take_alert: Take,
        traces: Traces | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._config = config
        self._engine = engine
        self._now_ns = now_ns
        self.metrics = Metrics()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gateway")
        enterprise = config.enterprise
        self.budget = Budget(config.pending_bytes, kept=config.pending_bytes // 4)
        self.metrics.watch(self.budget, config.pending_bytes)
        self._intakes = intakes = Intakes(config.device_bytes, credit_bytes=config.credit_bytes)
        closing = Closing(seconds=config.segment_seconds, bytes=config.segment_bytes)
        self._writer = Writer(
            enterprise=enterprise,
            engine=engine,
            store=store,
            intakes=intakes,
            budget=self.budget,
            closing=closing,
            metrics=self.metrics,
            traces=traces,
            now_ns=now_ns,
        )
        intakes.dropped = self._writer.drop
        callers = Callers(certified=bool(config.tls and config.tls.client_ca))
        self._greeter = Greeter(engine, self._in_thread, now_ns)
        self._telemetry = Telemetry(
            enterprise=enterprise,
            callers=callers,
            greet=self._greet,
            note_fenced=self._note_fenced,
            recalls=Recalls(enterprise, engine, Lake(engine, store, enterprise), callers, self._in_thread),
            intakes=intakes,
            writer=self._writer,
            budget=self.budget,
            metrics=self.metrics,
            limits=Limits(credit_bytes=config.credit_bytes, largest_message_bytes=LARGEST_MESSAGE),
            now_ns=now_ns,
        )
        self._board = Board(enterprise, engine, self._in_thread)
        self._rollout = Rollout(
            enterprise=enterprise,
            engine=engine,
            store=store,
            board=self._board,
            callers=callers,
            in_thread=self._in_thread,
            now_ns=now_ns,
        )
        self._alerts = Alerts(enterprise, callers, self._newest_session, take_alert, self._in_thread, self.metrics)
        self._compactor = Compactor(enterprise, engine, store, now_ns=now_ns)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # set at run time
        self._server = grpc.aio.server(options=_OPTIONS)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, address: str) -> str:
        """Listen on `address` (`host:port`, port 0 is any free one) and return where."""
        telemetry_pb2_grpc.add_TelemetryServiceServicer_to_server(self._telemetry, self._server)  # type: ignore[no-untyped-call]
        alert_pb2_grpc.add_AlertServiceServicer_to_server(self._alerts, self._server)  # type: ignore[no-untyped-call]
        rollout_pb2_grpc.add_RolloutServiceServicer_to_server(self._rollout, self._server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        host = address.rpartition(":")[0]
        port = self._listen(address, host)
        await self._server.start()
        self._tasks = [asyncio.create_task(self._writer.run()), asyncio.create_task(self._board.run())]
        self._tasks.append(asyncio.create_task(self._watch_sessions()))
        if self._config.compact_seconds > 0:
            self._tasks.append(asyncio.create_task(self._compactor.run(self._config.compact_seconds, self._in_thread)))
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        log.info("gateway listens", address=f"{host}:{port}")
        return f"{host}:{port}"

    def _listen(self, address: str, host: str) -> int:
        """Take the address, with TLS where it is configured; return the port."""
        tls = self._config.tls
        if tls is None and not is_loopback(host):
            log.warning(
                "plain text",
                address=address,
                mend="this network can read and send records: set [tls] in cloud.toml, or listen on 127.0.0.1",
            )
        credentials = server_credentials(tls) if tls else None
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as e:
            raise ConfigurationError(f"cannot listen on {address}", mend="is another gateway running there?") from e

    async def failed(self) -> None:
        """Wait until a part of the gateway fails, and raise what it raised."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def stop(self, *, within_s: float) -> None:
        """Store what was taken, say so to the devices and close; whatever is not done `within_s` is cut off."""
        await self._health.enter_graceful_shutdown()
        self._telemetry.drain()
        self._rollout.drain()
        try:
            async with asyncio.timeout(within_s):
                await self._writer.drain()
        except TimeoutError:
            log.warning("drained in part", hint="the devices keep what was not stored and send it again")
        self._telemetry.flushed()
        await self._server.stop(grace=2.0)
        await self._end()

    async def kill(self) -> None:
        """End at once, as a crash would: nothing is stored and nothing is said. For tests of what survives."""
        for task in self._tasks:
            task.cancel()
        await self._server.stop(grace=None)
        await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _greet(self, hello: Hello) -> Greeted:
        stream = hello.stream
        key = CursorKey(self._config.enterprise, stream.site, stream.device, stream.epoch)
        machines = [
            {
                "machine": m.name,
                "machine_class": m.machine_class,
                "simulated": m.simulated,
                "speed_rpm": m.speed_rpm,
                "line": m.line,
                "channels": m.channels,
            }
            for m in hello.machines
        ]
        facts = DeviceFacts(
            head=hello.head, software_version=hello.software_version, machines=machines, kept=hello.kept
        )
        known = await self._greeter.greet(key, facts)
        return Greeted(known.stored, known.alerts, Mark(*known.head) if known.head else None, known.session)

    async def _note_fenced(self, stream: Stream) -> None:
        """Count a stream that a newer one ended, and say so where two devices share one identity."""
        key = CursorKey(self._config.enterprise, stream.site, stream.device, stream.epoch)

        def write() -> bool:
            with writing(self._engine) as connection:
                return note_fenced(connection, key, self._now_ns())

        try:
            cloned = await self._in_thread(write)
        except Unavailable as e:
            log.warning("fenced session not counted", device=stream.device, reason=str(e))
            return
        self.metrics.fenced.inc()
        log.warning("session fenced", site=stream.site, device=stream.device, epoch=stream.epoch)
        if cloned:
            self.metrics.cloned.inc()
            log.error(
                "cloned device",
                site=stream.site,
                device=stream.device,
                epoch=stream.epoch,
                mend="two devices use one identity in turn: give each a name and a store of its own",
            )

    async def _watch_sessions(self) -> None:
        """End the streams whose device has said Hello to another gateway since."""
        while True:
            await asyncio.sleep(FENCE_SECONDS)
            if not len(self._intakes):
                continue
            try:
                newest = await self._in_thread(self._sessions)
            except Unavailable as e:
                log.warning("sessions not compared", reason=str(e))
                continue
            self._intakes.fence_older(newest)

    def _sessions(self) -> dict[tuple[str, str], int]:
        with reading(self._engine) as connection:
            return sessions_since(connection, self._config.enterprise, self._now_ns() - _SKEW_NS)

    def _newest_session(self, site: str, device: str) -> int:
        with reading(self._engine) as connection:
            return newest_session(connection, self._config.enterprise, site, device)
