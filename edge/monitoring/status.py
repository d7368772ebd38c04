"""`/metrics` and `/healthz` on the loopback interface, for the plant's monitoring; off unless a port is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from edge.monitoring.meter import Meter

_REQUEST_S = 2.0
_LONGEST_HEAD = 4096
_log = structlog.get_logger()
Health = Callable[[], Sequence[str]]  # what is wrong; nothing: healthy


class StatusPage:
    """A small HTTP server: two paths, GET only, one request a connection."""

    def __init__(self, meter: Meter, health: Health) -> None:
        self._meter = meter
        self._health = health
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1; returns the port (0 chose one), or 0 when it is taken: that must not stop the agent."""
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_LONGEST_HEAD)
        except OSError as e:
            _log.error("no status page", port=port, reason=e.strerror or str(e))
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.partition(b"\r\n")[0].decode("latin-1")))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asks so gets no answer
        finally:
            writer.close()

    def _answer(self, request: str) -> bytes:
        match request.split(" "):
            case ["GET", "/metrics", _]:
                return _response("200 OK", self._meter.text(), "text/plain; version=0.0.4; charset=utf-8")
            case ["GET", "/healthz", _]:
                wrong = self._health()
                return _response("503 Service Unavailable" if wrong else "200 OK", "\n".join(wrong or ["ok"]) + "\n")
            case ["GET", _, _]:
                return _response("404 Not Found", "there are /metrics and /healthz\n")
        return _response("405 Method Not Allowed", "GET only\n")


def _response(status: str, text: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
