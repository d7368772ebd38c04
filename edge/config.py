"""The device's configuration: one TOML file, written by whoever wires the machines.

Every key is described here, under the key; `docs/configuration.md` is made from it. A wrong file is refused as a whole,
with the key's path and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edge.announce import AnnounceConfig
from edge.board import PageConfig
from edge.detection import DetectionConfig
from edge.features import FeaturesConfig
from edge.recorder import FlightConfig
from edge.sensors.kinds import Opens, Positive, understood
from models.addresses import is_loopback
from models.certificates import CertificateFiles
from models.errors import ConfigurationError
from models.zones import ZoneLimits, load_zones

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")


class MachineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine that this device listens to."""

    name: Annotated[str, Meta(description="unique in the site; letters, digits, `. _ -` and blanks, at most 64")]
    machine_class: Annotated[str, Meta(description="machines of one class share a model")] = msgspec.field(
        name="class", default="bearing"
    )
    line: Annotated[str, Meta(description="where it stands, as the crew says it")] = ""
    zones: Annotated[
        str, Meta(description="machine group of models/zones.toml, whose limits of velocity stand beside an alarm")
    ] = ""
    source: Annotated[Opens, Meta(description="where its windows come from: its `kind`, and that kind's keys as below")]


class OutboxConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept while the cloud is away."""

    quota_bytes: Annotated[
        int,
        Meta(
            ge=1_000_000,
            description="over it, the oldest ordinary records go first, alerts "
            "last, and each dropped range is reported",
        ),
    ] = 1_000_000_000


class UplinkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How patient the device is with the cloud."""

    longest_retry_seconds: Annotated[Positive, Meta(description="attempts to connect are spread up to this far")] = 10.0
    welcome_seconds: Annotated[Positive, Meta(description="for the gateway's answer to Hello")] = 10.0
    alert_seconds: Annotated[Positive, Meta(description="for the answer to an alert")] = 10.0
    stored_seconds: Annotated[
        Positive, Meta(description="a stream on which nothing is stored for so long is opened anew")
    ] = 120.0


class CloudLinkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """TLS to the gateways: without `ca`, plain text. The files are read again when they change."""

    ca: Annotated[
        str,
        Meta(
            description="PEM file with the certificates of the CA that signs the gateways', relative to this file; "
            "with it the device speaks TLS only, and the gateways' names must be in their certificates"
        ),
    ] = ""
    certificate: Annotated[
        str,
        Meta(
            description="PEM file with this device's own certificate (and those between it and the CA), for gateways "
            "that ask for one; its subject alternative name is the URI `forewarn://ENTERPRISE/SITE/DEVICE`"
        ),
    ] = ""
    key: Annotated[str, Meta(description="PEM file with its key, without a passphrase")] = ""


class RecordsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is sent beside the features of every window."""

    spectrum_every_windows: Annotated[
        int, Meta(ge=0, description="a spectrum of each waveform channel; at an alarm always; 0: only then")
    ] = 60
    snippet_samples: Annotated[
        int,
        Meta(ge=0, le=65_536, description="of each waveform channel's raw samples at an alarm or snapshot; 0: none"),
    ] = 65_536
    snapshot_every_hours: Annotated[
        float,
        Meta(ge=0, description="raw samples of each waveform channel, without an alarm; 0: none"),
    ] = 24.0
    copy_every_hours: Annotated[
        float,
        Meta(
            ge=0,
            description="a copy of what was learned of each live machine, for the device that replaces this one; also "
            "when learning ends, an alarm changes or a baseline begins anew; 0: never, and none is asked for",
        ),
    ] = 24.0


class EdgeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One device."""

    device: Annotated[str, Meta(description="this device's name, unique in the site")]
    enterprise: Annotated[str, Meta(description="the company; the cloud's configuration has the same")] = "demo"
    site: Annotated[str, Meta(description="the plant")] = "demo"
    store: Annotated[
        str,
        Meta(
            description="folder for the outbox and the models, relative to this file; it must "
            "exist, and only one agent may use it"
        ),
    ] = ""
    gateways: Annotated[
        tuple[str, ...],
        Meta(
            description="`host:port` of each gateway; the first is tried first; none only with a page or an "
            "announcement: then the device works by itself"
        ),
    ] = ()
    trust: Annotated[
        str,
        Meta(
            description="root.json of the cloud that signs models, relative to this file; "
            "without it the device takes no models, and still hears the crew's orders"
        ),
    ] = ""
    status_port: Annotated[
        int, Meta(ge=0, le=65_535, description="of 127.0.0.1, where `/metrics` and `/healthz` are served; 0: nowhere")
    ] = 0
    health_port: Annotated[
        int,
        Meta(
            ge=0,
            le=65_535,
            description="of 127.0.0.1, for gRPC's health check (grpc.health.v1); 0: nowhere",
        ),
    ] = 0
    stop_seconds: Annotated[Positive, Meta(description="on SIGTERM, how long to go on delivering what is kept")] = 10.0
    machine: Annotated[tuple[MachineConfig, ...], Meta(description="one `[[machine]]` table each")] = ()
    outbox: OutboxConfig = OutboxConfig()
    cloud: CloudLinkConfig = CloudLinkConfig()
    uplink: UplinkConfig = UplinkConfig()
    records: RecordsConfig = RecordsConfig()
    features: FeaturesConfig = FeaturesConfig()
    detection: DetectionConfig = DetectionConfig()
    flight: FlightConfig = FlightConfig()
    announce: AnnounceConfig = AnnounceConfig()
    page: PageConfig = PageConfig()


def load_config(file: Path) -> EdgeConfig:
    """Read a device's file; paths in it become absolute. ConfigurationError names the file, the key and the mend."""
    try:
        raw = msgspec.toml.decode(file.read_bytes())
        config = msgspec.convert(_with_sources(raw), type=EdgeConfig, dec_hook=_as_it_is)
    except OSError as e:
        raise ConfigurationError(f"cannot be read: {e.strerror}", where=str(file)) from e
    except ConfigurationError as e:
        raise ConfigurationError(e.what, where=str(file), mend=e.mend or "docs/configuration.md has every key") from e
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as e:
        raise ConfigurationError(str(e), where=str(file), mend="docs/configuration.md has every key") from e
    folder = file.resolve().parent
    return msgspec.structs.replace(
        config,
        store=str(folder / config.store) if config.store else "",
        trust=str(folder / config.trust) if config.trust else "",
        machine=tuple(_placed(m, folder) for m in config.machine),
        announce=_with_secret(config.announce, folder),
        cloud=CloudLinkConfig(
            ca=str(folder / config.cloud.ca) if config.cloud.ca else "",
            certificate=str(folder / config.cloud.certificate) if config.cloud.certificate else "",
            key=str(folder / config.cloud.key) if config.cloud.key else "",
        ),
    )


def _with_secret(announce: AnnounceConfig, folder: Path) -> AnnounceConfig:
    if not announce.webhook_secret:
        return announce
    return msgspec.structs.replace(announce, webhook_secret=str(folder / announce.webhook_secret))


def _with_sources(raw: Any) -> Any:
    """The file's tables with each machine's source understood by its own kind; what else is wrong stays as it is."""
    machines = raw.get("machine")
    if not isinstance(machines, list):
        return raw
    understood_ones = [
        {**m, "source": understood(m["source"], f"$.machine[{i}].source")}
        if isinstance(m, dict) and "source" in m
        else m
        for i, m in enumerate(machines)
    ]
    return {**raw, "machine": understood_ones}


def _as_it_is(wanted: type, given: Any) -> Any:
    if isinstance(given, wanted):
        return given
    raise ValueError(f"Expected a source, got `{type(given).__name__}`")


def _placed(machine: MachineConfig, folder: Path) -> MachineConfig:
    return msgspec.structs.replace(machine, source=machine.source.placed(folder))


def check_config(config: EdgeConfig, where: str) -> None:
    """Refuse what cannot run, once the command line's words are in; `where` is the file or command to mend."""

    def refuse(what: str, mend: str) -> None:
        raise ConfigurationError(what, where=where, mend=mend)

    names = {"device": config.device, "enterprise": config.enterprise, "site": config.site}
    names |= {f"machine[{i}].name": m.name for i, m in enumerate(config.machine)}
    names |= {f"machine[{i}].class": m.machine_class for i, m in enumerate(config.machine)}
    for key, name in names.items():
        if not _NAME.fullmatch(name) or name.endswith((" ", ".")):
            refuse(f"{key} is {name!r}", "use 1 to 64 letters, digits, `. _ -` or blanks, the first a letter or digit")
    for m in config.machine:
        if m.zones and m.zones not in load_zones():
            refuse(f"no group {m.zones!r} in models/zones.toml", f"use one of {', '.join(load_zones())}")
    machines = [m.name for m in config.machine]
    for name in machines:
        if machines.count(name) > 1:
            refuse(f"machine {name!r} is there twice", "give each machine a name of its own")
    if not config.store:
        refuse("no store", "set `store` to a folder for what is not yet delivered")
    announced = config.announce.relay or config.announce.webhook or config.page.listen
    if not config.gateways and not announced:
        mend = 'set `gateways` to a list such as ["gateway.example:7443"], or without a cloud [page] or [announce]'
        refuse("no gateways", mend)
    for address in config.gateways:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            refuse(f"gateways has {address!r}", "give host:port")
    _check_tls(config.cloud, refuse)
    _check_offline(config, refuse)


def _check_tls(cloud: CloudLinkConfig, refuse: Callable[[str, str], None]) -> None:
    if bool(cloud.certificate) != bool(cloud.key):
        refuse("cloud.certificate without cloud.key, or the other way round", "set both, or neither")
    if cloud.certificate and not cloud.ca:
        refuse("cloud.certificate without cloud.ca", "set cloud.ca to the certificates of the CA that signs gateways'")


def _check_offline(config: EdgeConfig, refuse: Callable[[str, str], None]) -> None:
    host, _, port = config.page.listen.rpartition(":")
    if config.page.listen and not (is_loopback(host) and port.isdigit() and int(port) < 65_536):
        mend = "give host:port of the loopback, such as 127.0.0.1:8090: the page has no login"
        refuse(f"page.listen is {config.page.listen!r}", mend)
    url = urlsplit(config.announce.webhook)
    if config.announce.webhook and not (url.scheme in {"http", "https"} and url.hostname):
        refuse(f"announce.webhook is {config.announce.webhook!r}", "give an http or https URL")
    if config.announce.webhook_secret and not config.announce.webhook:
        refuse("announce.webhook_secret without announce.webhook", "set both, or neither")


def zones_of(config: EdgeConfig, machine: str) -> ZoneLimits | None:
    """The severity zones of a machine's group; None where the configuration names none."""
    group = next((m.zones for m in config.machine if m.name == machine), "")
    return load_zones().get(group) if group else None


def certificates_of(config: EdgeConfig) -> CertificateFiles | None:
    """The files for TLS to the gateways; None where the configuration names none: plain text."""
    cloud = config.cloud
    return CertificateFiles(ca=cloud.ca, certificate=cloud.certificate, key=cloud.key) if cloud.ca else None
