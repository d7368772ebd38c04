"""Gateway and pages in one process: start, run until a signal or a failure, end kindly."""

# ruff: noqa: PLC0415 - a gateway without pages imports none
from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import structlog

from cloud.gateway.metrics import MetricsServer
from cloud.gateway.server import Gateway
from models.errors import ConfigurationError, Unavailable
from models.tracing import open_traces

if TYPE_CHECKING:
    from cloud.wiring import Cloud

log: structlog.stdlib.BoundLogger = structlog.get_logger()
DRAIN_SECONDS = 8.0  # for what was taken; the devices keep the rest
_RENEW_SECONDS = 86_400.0
_PAGE_SECONDS = 2  # for open pages when the process ends


def until_a_signal() -> asyncio.Event:
    """What SIGTERM and SIGINT set; in a process's main thread."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    return ending


async def serve(
    cloud: Cloud, *, gateway: str, page: str | None, ready: Callable[[str], None], ending: asyncio.Event | None = None
) -> None:
    """Run until `ending`, by default a signal; `ready` gets the line with the addresses. A part that fails ends all."""
    ending = ending or until_a_signal()
    await asyncio.to_thread(cloud.registry.initialise)
    traces = open_traces("forewarn-gateway")
    served = Gateway(cloud.config, engine=cloud.engine, store=cloud.store, take_alert=cloud.alerts.take, traces=traces)
    addresses = {"gateway": await served.start(gateway)}
    pages = metrics = None
    running: list[asyncio.Task[Any]] = [
        asyncio.create_task(served.failed()),
        asyncio.create_task(ending.wait()),
        asyncio.create_task(_keep_signed(cloud)),
    ]
    try:
        if page is not None:
            pages = Pages(cloud, page)
            addresses["page"] = await pages.start()
            running.append(asyncio.create_task(pages.run()))
        if cloud.config.metrics:
            metrics = MetricsServer(served.metrics, cloud.config.metrics)
            addresses["metrics"] = metrics.address
        ready(json.dumps(addresses))
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        log.info("ending", drain_seconds=DRAIN_SECONDS)
    finally:
        if pages is not None:
            pages.end()
        if metrics is not None:
            metrics.close()
        await served.stop(within_s=DRAIN_SECONDS)
        if traces is not None:
            await asyncio.to_thread(traces.close)
        for task in running[:3]:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _keep_signed(cloud: Cloud) -> None:
    """Renew the registry's signatures before they expire, so that devices can tell quiet from withheld."""
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            await asyncio.to_thread(cloud.registry.refresh)
        except Unavailable as e:
            log.warning("signatures not renewed, trying again tomorrow", reason=str(e))


class Pages:
    """The web pages under uvicorn, on a socket of their own."""

    def __init__(self, cloud: Cloud, address: str) -> None:
        import uvicorn

        from cloud.web.app import create_app

        self._address = address
        self._app = create_app(cloud)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_PAGE_SECONDS,
        )

        class Server(uvicorn.Server):
            """Leaves signals to `serve`."""

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

        self._server: Any = Server(config)
        self._socket: socket.socket | None = None

    async def start(self) -> str:
        """Take the address; return it as people type it."""
        host, _, port = self._address.rpartition(":")
        try:
            self._socket = socket.create_server((host, int(port)), backlog=512)
        except (OSError, ValueError) as e:
            raise ConfigurationError(f"cannot show pages at {self._address}: {e}", mend="give another --page") from e
        host, number = self._socket.getsockname()[:2]
        return f"http://{host}:{number}"

    async def run(self) -> None:
        """Answer until `end`."""
        assert self._socket is not None
        await self._server.serve(sockets=[self._socket])

    def end(self) -> None:
        """Ask the server to end; open pages are let go first, or it would wait for them."""
        self._app.state.live.close()
        self._server.should_exit = True
