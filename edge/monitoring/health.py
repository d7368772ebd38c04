"""gRPC's own health check (grpc.health.v1) on the loopback interface; off unless a port is configured.

For supervisors that speak it instead of HTTP, such as Kubernetes' gRPC probe. Its messages are one field each, so they
are written out here: generated code would cost memory on every device.
"""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import structlog

from edge.monitoring.status import Health

SERVICE = "grpc.health.v1.Health"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse.status = 1, 2
_THE_DEVICE = (b"", b"\x0a\x00")  # HealthCheckRequest.service absent, or empty
_MOST_AT_ONCE = 8
_LONGEST_REQUEST = 1024
_log = structlog.get_logger()


class HealthCheck:
    """Answers `Check` for the device as a whole; another service is not found, and `Watch` is not implemented."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._server: grpc.aio.Server | None = None

    async def start(self, port: int) -> int:
        """Listen on 127.0.0.1; returns the port (0 chose one), or 0 when it is taken: that must not stop the agent."""
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _LONGEST_REQUEST)]
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_MOST_AT_ONCE)
        check = grpc.unary_unary_rpc_method_handler(self._check)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Check": check}),))
        try:
            bound = int(server.add_insecure_port(f"127.0.0.1:{port}"))
        except RuntimeError as e:
            _log.error("no health check", port=port, reason=str(e))
            return 0
        await server.start()
        self._server = server
        return bound

    async def stop(self) -> None:
        """Listen no more; who waits for an answer gets none."""
        if self._server is not None:
            await self._server.stop(None)

    async def _check(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        if request not in _THE_DEVICE:
            await context.abort(grpc.StatusCode.NOT_FOUND, "this device has one state: ask for the service ''")
        return NOT_SERVING if self._health() else SERVING
