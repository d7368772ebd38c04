"""The cloud's configuration: one TOML file, `cloud.toml` in the data folder; without it, everything is local."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import structs

from models.errors import ConfigurationError


class S3Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An S3-compatible server. The secret comes from a file or from FOREWARN_S3_SECRET, never from this file."""

    endpoint: str  # host:port
    bucket: str
    access_key: str
    secret_file: str = ""
    secure: bool = True
    region: str = "us-east-1"
    timeout_seconds: float = 10.0


class TlsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the gateway proves itself to devices, and they to it: PEM files, relative to the data folder.

    They are read again when they change; no restart is needed.
    """

    certificate: str  # the gateway's, and those between it and the CA
    key: str  # without a passphrase
    client_ca: str = (
        ""  # signs the devices' certificates, which are then asked for; empty: a device is who it says it is
    )


class CloudConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `forewarn cloud` and the commands on the cloud's data need to know."""

    enterprise: str = "demo"  # the company whose data this is; the first part of every key
    database: str = ""  # SQLAlchemy URL; empty: catalogue.sqlite in the data folder
    s3: S3Config | None = None  # absent: the folder `store` in the data folder
    gateway: str = "127.0.0.1:7443"  # host:port the devices call; port 0: any free one
    tls: TlsConfig | None = None  # absent: plain text, which is for the loopback or a network of its own
    page: str = "127.0.0.1:8080"  # host:port of the pages; port 0: any free one
    metrics: str = ""  # host:port for Prometheus, best a loopback one: it asks nobody who they are; empty: none
    segment_seconds: float = 2.0  # a segment closes after this time ...
    segment_bytes: int = 8_000_000  # ... or at this size
    credit_bytes: int = 1_000_000  # unreceived bytes a device may have on the way
    pending_bytes: int = 64_000_000  # records in a gateway's memory, waiting for a slow store; then credit is withheld
    device_bytes: int = 16_000_000  # of these, one device's; it alone waits when it has more on the way
    compact_seconds: float = 30.0  # how often small segments are merged; 0: never


def load_config(data: Path) -> CloudConfig:
    """Read `cloud.toml` in the data folder; an unknown key or a wrong type is a `ConfigurationError` naming it."""
    file = data / "cloud.toml"
    try:
        config = msgspec.toml.decode(file.read_bytes(), type=CloudConfig) if file.exists() else CloudConfig()
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise ConfigurationError(str(e), where=str(file), mend="see docs/configuration.md for every key") from e
    return config if config.tls is None else structs.replace(config, tls=_placed(config.tls, data))


def _placed(tls: TlsConfig, data: Path) -> TlsConfig:
    placed = {key: str(data / path) if path else "" for key, path in structs.asdict(tls).items()}
    return TlsConfig(**placed)
