"""The channels to the gateways: one for each address, kept for good, because every new channel costs memory for good.

(grpc #38499: clients in Python leak on reconnect.) gRPC mends a broken channel by itself; which address is in use is
decided here. A channel cannot change its certificate: a renewed one gets a channel of its own, which is open before the
old one closes. Until a gateway has taken it, the one before it stays at hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
import grpc.aio
import structlog

from models.certificates import CertificateFiles, Material
from models.errors import ConfigurationError, Unavailable

LOOK_S = 5.0  # between two looks at the certificate's files
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
_log = structlog.get_logger()


def credentials(material: Material) -> grpc.ChannelCredentials:
    """What a channel needs of the files; without a certificate the gateway must not ask for one."""
    return grpc.ssl_channel_credentials(material.ca, material.key or None, material.certificate or None)


class Link:
    """The way to the cloud over a list of gateways of equal rank."""

    def __init__(
        self, addresses: Sequence[str], certificates: CertificateFiles | None = None, *, look_s: float = LOOK_S
    ) -> None:
        """`addresses` are `host:port`, at least one; the first is tried first. Without certificates, plain text."""
        self._addresses = tuple(addresses)
        self._at = 0
        self._files = certificates
        self._look_s = look_s
        self._newest: Material | None = None  # as the files said last; None: plain text, or never read
        self._in_use: Material | None = None
        self._before: Material | None = None  # what a gateway took last, while the newest is still to be taken
        self._channels: dict[tuple[str, Material | None], grpc.aio.Channel] = {}

    @property
    def address(self) -> str:
        """The gateway in use."""
        return self._addresses[self._at]

    def channel(self) -> grpc.aio.Channel:
        """The channel in use; call it in the event loop's thread. Unavailable while no certificate can be used."""
        if self._files is not None and self._newest is None:
            self._look()
            self._in_use = self._newest
        return self._open(self._in_use)

    def _open(self, material: Material | None) -> grpc.aio.Channel:
        key = (self.address, material)
        if key not in self._channels:
            self._channels[key] = (
                grpc.aio.insecure_channel(self.address, options=_OPTIONS)
                if material is None
                else grpc.aio.secure_channel(self.address, credentials(material), options=_OPTIONS)
            )
        return self._channels[key]

    def _look(self) -> None:
        """Read the files if they changed. Until they fit each other, what was read before stays."""
        assert self._files is not None
        try:
            found = self._files.read() if self._newest is None else self._files.newer()
        except ConfigurationError as e:
            if self._newest is None:
                raise Unavailable(f"no certificate to connect with: {e}") from e
            _log.warning("certificate not taken, the one before stays in use", reason=str(e))
            return
        self._newest = found or self._newest

    def try_another(self) -> None:
        """Use the next address from now on; after the last one, the other certificate, if there are two."""
        self._at = (self._at + 1) % len(self._addresses)
        if self._at or self._files is None or self._newest is None:
            return
        self._look()
        if self._in_use != self._newest:
            self._in_use, self._before = self._newest, self._in_use
        elif self._before is not None:
            self._in_use = self._before

    async def taken(self) -> None:
        """A gateway has taken what is in use: if that is the newest, the one before is not needed any more."""
        if self._in_use != self._newest:
            return
        self._before = None
        for key in [k for k in self._channels if k[1] != self._in_use]:
            await self._channels.pop(key).close(grace=None)

    async def renewed(self) -> None:
        """Wait until the files have another certificate and a channel with it is open; it is in use from then on.

        The old channel closes at `taken`.
        """
        refused: Material | None = None
        while True:
            await asyncio.sleep(self._look_s)
            if self._files is None or self._newest is None:
                continue
            self._look()
            if self._newest == self._in_use:
                continue
            state = self._open(self._newest).get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.READY:
                self._in_use, self._before = self._newest, self._in_use
                _log.info("certificate renewed", gateway=self.address)
                return
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE and refused != self._newest:
                refused = self._newest
                said = "the gateway does not take the new certificate, the old one stays in use"
                _log.error(said, gateway=self.address)

    async def close(self) -> None:
        """Close all channels; calls on them end."""
        for channel in self._channels.values():
            await channel.close(grace=None)
        self._channels.clear()
