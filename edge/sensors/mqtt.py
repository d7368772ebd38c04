"""Measurements from an MQTT broker (extra `mqtt`): whole ones as JSON, or a topic for each channel.

What the broker retained is not taken: nobody knows how old it is. With a `client_id` the broker keeps what comes while
the device is away, as far as the broker's own limits go. A message is acknowledged when its window is kept on the disk,
in the order they came: what a power cut takes is sent again.
"""

# ruff: noqa: PLC0415 - paho is imported by those devices alone that listen to a broker
from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
import numpy as np
from msgspec import Meta

from edge.sensors.answers import Answers, Unanswered
from edge.sensors.assembler import Assembler
from edge.sensors.kinds import Source, Wiring
from edge.sensors.live import LiveSensor
from edge.sensors.measurement import BadData, decode
from edge.sensors.wired import ChannelConfig, LiveConfig, secret
from models.errors import ConfigurationError, Unavailable, WrongUse

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.enums import MQTTErrorCode

_LOOK_S = 0.2
_LOOK_FOR_KEPT_S = 0.02  # while messages wait for their answer
_REMEMBERED = 64  # measurements, so that one that is sent again on a new connection is not taken twice
_CONNECT_S = 10.0


class MqttChannel(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A channel that may have a topic of its own."""

    topic: Annotated[str, Meta(description="whose payload is this channel's number or list; no wildcards")] = ""


class MqttSource(LiveConfig, frozen=True, kw_only=True, tag="mqtt"):
    """Measurements from an MQTT 3.1.1 broker; needs `pip install 'forewarn[mqtt]'`."""

    host: Annotated[str, Meta(min_length=1, description="the broker's name or address")]
    channels: Annotated[
        tuple[MqttChannel, ...],
        Meta(min_length=1, max_length=64, description="what is measured, one table each; `topic` where it has its own"),
    ]
    port: Annotated[int, Meta(ge=1, le=65_535, description="usually 1883, with TLS 8883")] = 1883
    topic: Annotated[str, Meta(description="of whole measurements as JSON (docs/sources.md); no wildcards")] = ""
    client_id: Annotated[str, Meta(description="unique at the broker; with it, the broker keeps what we miss")] = ""
    username: Annotated[str, Meta(description="for the broker")] = ""
    password_file: Annotated[str, Meta(description="whose first line is the password; relative to this file")] = ""
    ca_file: Annotated[str, Meta(description="certificates to trust, for TLS; relative to this file")] = ""
    longest_message_bytes: Annotated[int, Meta(ge=1024, le=1 << 26, description="a longer one is refused")] = 1 << 22

    def placed(self, folder: Path) -> Self:
        """The same with absolute paths."""
        paths = {key: str(folder / said) for key in ("password_file", "ca_file") if (said := getattr(self, key))}
        return msgspec.structs.replace(self, **paths)

    def open(self, wiring: Wiring) -> Source:
        """The sensor; nothing is connected before `windows`."""
        if find_spec("paho") is None:
            raise WrongUse("MQTT needs paho-mqtt, which is not installed here", mend="pip install 'forewarn[mqtt]'")
        topics = [t for t in (self.topic, *(c.topic for c in self.channels)) if t]
        if not topics or len(set(topics)) < len(topics) or any(set("+#") & set(t) for t in topics):
            raise ConfigurationError(
                "the topics are none, not all different, or have wildcards",
                where=f"machine {wiring.name}",
                mend="set `topic` for whole measurements, or a `topic` for each channel",
            )
        return Mqtt(self, wiring).source()


class Mqtt(LiveSensor):
    """Listens to one broker for one machine."""

    def __init__(self, config: MqttSource, wiring: Wiring) -> None:
        super().__init__(config, wiring)
        self._broker = config
        self._password = secret(config.password_file)
        self._channels = {c.topic: c for c in config.channels if c.topic}
        waveforms = [c.name for c in self._channels.values() if c.kind == "waveform"]
        self._assembler = Assembler(waveforms, config.every_seconds or 1.0)
        self._answers = Answers()
        self._placed: dict[int, int] = {}  # windows' event times by those the messages said
        self._answer: str | None = None  # to our connection: empty is yes, else why not

    def listen(self) -> None:
        """Hear what is published until the connection is lost."""
        client = self._client()
        self._answer = None
        self._answers = Answers()  # those of an earlier connection are sent again
        client.connect(self._broker.host, self._broker.port, keepalive=15)
        deadline = time.monotonic() + _CONNECT_S
        try:
            while not self.closed.is_set():
                code = self._look(client)
                self._acknowledge(client)
                if self._answer:
                    raise Unavailable(self._answer)
                if code:
                    raise Unavailable(f"the connection to the broker ended ({code.name.lower()})")
                if self._answer is None and time.monotonic() > deadline:
                    raise Unavailable("the broker does not answer")
        finally:
            self._acknowledge(client)
            client.disconnect()

    def _look(self, client: Client) -> MQTTErrorCode:
        """Take at most one message; none while the buffer is full, so that the broker keeps the rest."""
        if self.full:
            self.closed.wait(_LOOK_FOR_KEPT_S)
            return client.loop_misc()
        return client.loop(timeout=_LOOK_FOR_KEPT_S if len(self._answers) else _LOOK_S)

    def _client(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        c = self._broker
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=c.client_id, clean_session=not c.client_id, manual_ack=True
        )
        if c.username:
            client.username_pw_set(c.username, self._password)
        if c.ca_file:
            client.tls_set(c.ca_file)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Client, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._answer = f"the broker refuses us: {reason}"
        else:
            client.subscribe([(topic, 1) for topic in (self._broker.topic, *self._channels) if topic])

    def _on_subscribe(self, _client: Client, _user: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(r.is_failure for r in reasons):
            self._answer = "the broker refuses a topic"
        else:
            self._answer = ""
            self.connected()

    def _on_message(self, _client: Client, _user: Any, message: MQTTMessage) -> None:
        came = self._answers.came(message.mid) if message.qos else Unanswered(0, 0.0)
        if message.retain:
            came.until_ns = 0
            return
        try:
            if len(message.payload) > self._broker.longest_message_bytes:
                raise BadData(f"is longer than {self._broker.longest_message_bytes} bytes", where=message.topic)
            if message.topic in self._channels:
                self._part(came, message)
            else:
                came.until_ns = self._whole(message)
        except BadData as e:
            came.until_ns = 0
            self.refuse(BadData(e.what, where=message.topic, mend=e.mend))

    def _whole(self, message: MQTTMessage) -> int:
        """Take a whole measurement, once; its window's event time."""
        time_ns, values = decode(bytes(message.payload))
        if message.dup and time_ns in self._placed:
            return self._placed[time_ns]
        placed = self.take(time_ns, values)
        if time_ns is not None:
            self._placed[time_ns] = placed
            if len(self._placed) > _REMEMBERED:
                del self._placed[next(iter(self._placed))]
        return placed

    def _part(self, came: Unanswered, message: MQTTMessage) -> None:
        """Take one channel; what is complete thereby answers for its parts."""
        channel = self._channels[message.topic]
        for complete in self._assembler.add(channel.name, time.time_ns(), _numbers(message)):
            try:
                until_ns = self.take(*complete)
            except BadData as e:
                until_ns = 0
                self.refuse(BadData(e.what, where=message.topic, mend=e.mend))
            self._answers.complete(until_ns, but=came if self._assembler.pending else None)

    def _acknowledge(self, client: Client) -> None:
        for number in self._answers.due(self.kept_ns):
            client.ack(number, 1)


def _numbers(message: MQTTMessage) -> Any:
    try:
        said = msgspec.json.decode(bytes(message.payload), type=float | list[float | None])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as e:
        raise BadData("is neither a number nor a list of numbers", mend="publish JSON") from e
    return np.array(said if isinstance(said, list) else [said], dtype=np.float64)
