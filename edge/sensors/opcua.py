"""Channels as nodes of an OPC UA server (extra `opcua`): numbers of a slow channel, arrays of a waveform.

Event time is the server's source timestamp. A value whose status is not good is refused; the others go on. What a node
held before we listened is not taken: nobody knows whether it still is so.
"""

# ruff: noqa: PLC0415 - asyncua is imported by those devices alone that listen to such a server
from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import numpy as np
from msgspec import Meta

from edge.sensors.assembler import Assembler
from edge.sensors.kinds import Source, Wiring
from edge.sensors.live import LiveSensor
from edge.sensors.measurement import BadData
from edge.sensors.wired import ChannelConfig, LiveConfig, secret
from models.errors import Unavailable, WrongUse

_LOOK_S = 0.2
_REQUEST_S = 5.0
_QUEUED = 100  # values that the server keeps of each node between two reports
_MOST_PENDING = 1000


class OpcUaChannel(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A channel and its node."""

    node: Annotated[str, Meta(min_length=1, description='its node id, such as "ns=2;s=P101.Vibration"')]


class OpcUaSource(LiveConfig, frozen=True, kw_only=True, tag="opcua"):
    """Nodes of an OPC UA server; needs `pip install 'forewarn[opcua]'`, which is LGPL."""

    url: Annotated[str, Meta(pattern="^opc.tcp://", description='such as "opc.tcp://plc.example:4840"')]
    channels: Annotated[
        tuple[OpcUaChannel, ...],
        Meta(min_length=1, max_length=64, description="what is measured, one table each, with its `node`"),
    ]
    publish_seconds: Annotated[float, Meta(ge=0.01, description="how often the server reports changes")] = 0.5
    username: Annotated[str, Meta(description="for the server")] = ""
    password_file: Annotated[str, Meta(description="whose first line is the password; relative to this file")] = ""

    def placed(self, folder: Path) -> Self:
        """The same with an absolute path."""
        if not self.password_file:
            return self
        return msgspec.structs.replace(self, password_file=str(folder / self.password_file))

    def open(self, wiring: Wiring) -> Source:
        """The sensor; nothing is connected before `windows`."""
        if find_spec("asyncua") is None:
            raise WrongUse("OPC UA needs asyncua, which is not installed here", mend="pip install 'forewarn[opcua]'")
        return OpcUa(self, wiring).source()


class OpcUa(LiveSensor):
    """Subscribes to one server's nodes for one machine."""

    def __init__(self, config: OpcUaSource, wiring: Wiring) -> None:
        super().__init__(config, wiring)
        self._server = config
        self._password = secret(config.password_file)
        waveforms = [c.name for c in config.channels if c.kind == "waveform"]
        self._assembler = Assembler(waveforms, config.every_seconds or 1.0)
        self._names: dict[Any, str] = {}  # channel by node id
        self._waveforms = frozenset(waveforms)
        self._heard: set[str] = set()  # channels whose first report, of what was there before, has come
        self._pending: list[tuple[int, bool, str, Any]] = []  # node by node as reported: sorted by time; None: bad
        self._held: dict[str, Any] = {}  # of each slow channel: a server reports what changes, the rest is as it was
        self._defect: Exception | None = None

    def listen(self) -> None:
        """Hear what changes until the connection is lost."""
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        from asyncua import Client, ua

        client = Client(self._server.url, timeout=_REQUEST_S)
        if self._server.username:
            client.set_user(self._server.username)
            client.set_password(self._password)
        try:
            await client.connect()
            try:
                await self._subscribe(client)
                self.connected()
                while not self.closed.is_set():
                    await client.check_connection()
                    self._assemble()
                    if self._defect is not None:
                        raise self._defect
                    await asyncio.sleep(min(_LOOK_S, self._server.publish_seconds))
            finally:
                with contextlib.suppress(ua.UaError, OSError):
                    await client.disconnect()
        except (ua.UaError, ConnectionError) as e:
            raise Unavailable(f"OPC UA: {e or type(e).__name__}", where=self._server.url) from e

    async def _subscribe(self, client: Any) -> None:
        from asyncua import ua

        self._heard.clear()
        self._held.clear()
        self._names = {client.get_node(c.node).nodeid: c.name for c in self._server.channels}
        subscription = await client.create_subscription(self._server.publish_seconds * 1000.0, self)
        nodes = [client.get_node(c.node) for c in self._server.channels]
        answers = await subscription.subscribe_data_change(nodes, queuesize=_QUEUED)
        for channel, answer in zip(self._server.channels, np.atleast_1d(np.array(answers, dtype=object)), strict=True):
            if isinstance(answer, ua.StatusCode):
                raise Unavailable(f"node {channel.node} cannot be read: {answer.name}", where=self._server.url)

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        """A value has changed; called by the subscription."""
        name = self._names[node.nodeid]
        said = data.monitored_item.Value
        first = name not in self._heard
        self._heard.add(name)
        if first and name in self._waveforms:
            return  # nobody knows how old it is; a slow value holds until another one is reported
        try:
            if said.StatusCode is not None and not said.StatusCode.is_good():
                raise BadData(f"its status is {said.StatusCode.name}", mend="look at the sensor and the server")
            values = _numbers(value)
            if first:
                self._held[name] = values[-1:]
                return
            self._pending.append((_ns(said.SourceTimestamp), name in self._waveforms, name, values))
            if len(self._pending) >= _MOST_PENDING:
                self._assemble()
        except BadData as e:
            if not first:
                self._pending.append((_ns(said.SourceTimestamp), name in self._waveforms, name, None))
                self.refuse(BadData(e.what, where=f"channel {name}", mend=e.mend))
        except Exception as e:  # noqa: BLE001 - the library would only log a defect of ours; `_listen` raises it
            self._defect = e

    def _assemble(self) -> None:
        pending, self._pending = sorted(self._pending, key=lambda p: p[:2]), []
        for time_ns, fast, name, values in pending:
            if values is None:
                self._held.pop(name, None)
                continue
            for begun_ns, complete in self._assembler.add(name, time_ns, values):
                try:
                    self.take(begun_ns, {**self._held, **complete})
                except BadData as e:
                    self.refuse(e)
            if not fast:
                self._held[name] = values[-1:]


def _ns(at: datetime | None) -> int:
    if at is None:
        return time.time_ns()
    since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _numbers(value: Any) -> Any:
    try:
        values = np.atleast_1d(np.asarray(value))
    except ValueError:
        values = np.array(["uneven"])
    if values.ndim != 1 or values.dtype.kind not in "iufb" or not values.size:
        raise BadData("holds no numbers", mend="name a node of numbers")
    return values
