"""The channels to the gateways: one for each address, kept for good, because every new channel costs memory for good.

(grpc #38499: clients in Python leak on reconnect.) gRPC mends a broken channel by itself; which address is in use is
decided here.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import grpc.aio

_OPTIONS: list[tuple[str, int]] = [
    ("grpc.keepalive_time_ms", 20_000),  # a half-open connection ends after time + timeout
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # the time that one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 0),  # the uplink retries, and knows what may be repeated
]


class Link:
    """The way to the cloud over a list of gateways of equal rank."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """`addresses` are `host:port`, at least one; the first is tried first."""
        self._addresses = tuple(addresses)
        self._at = 0
        self._channels: dict[str, grpc.aio.Channel] = {}

    @property
    def address(self) -> str:
        """The gateway in use."""
        return self._addresses[self._at]

    def channel(self) -> grpc.aio.Channel:
        """The channel in use; call it in the event loop's thread."""
        if self.address not in self._channels:
            self._channels[self.address] = grpc.aio.insecure_channel(self.address, options=_OPTIONS)
        return self._channels[self.address]

    def try_another(self) -> None:
        """Use the next address from now on."""
        self._at = (self._at + 1) % len(self._addresses)

    async def close(self) -> None:
        """Close all channels; calls on them end."""
        for channel in self._channels.values():
            await channel.close(grace=None)
        self._channels.clear()
