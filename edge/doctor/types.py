"""What the doctor knows of a device, and what it says. A fact that could not be found out is None."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from edge.clock import Sure
from edge.types import Machine, Window


class Level(enum.Enum):
    """How bad a finding is: only faults make the device unhealthy."""

    FAULT = "fault"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence each: what is wrong, where, what to do. `name` is stable."""

    name: str
    level: Level
    what: str
    where: str
    mend: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "level": self.level.value,
            "what": self.what,
            "where": self.where,
            "mend": self.mend,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The computer."""

    clock_s: float  # seconds since 1970
    clock_step_s: float = 0.0  # how far the clock moved against a monotonic one while it was watched
    synchronised: bool | None = None
    utc_offset_s: float = 0.0
    log_level: str = "info"
    python: tuple[int, int] = (3, 11)
    architecture: str = "x86_64"
    cpu_flags: frozenset[str] | None = None
    onnxruntime_fault: str = ""  # why it does not load here
    memory_available_bytes: int | None = None
    sqlite: tuple[int, int, int] = (3, 40, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """The folder of the outbox and the models."""

    path: str
    exists: bool = True
    writable: bool = True
    file_system: str = "ext4"
    free_bytes: int | None = None
    free_inodes: int | None = None
    holder: str = ""  # of the lock: another agent
    outbox_fault: str = ""
    set_aside: int = 0  # damaged databases kept for a person to look at
    kept_bytes: int = 0
    sure: Sure | None = None  # of its clock, when an agent ran here; None: none did
    quota_bytes: int = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFacts:
    """What an attempt to speak with one gateway gave; only the first fault is set."""

    address: str
    name_fault: str = ""
    connect_fault: str = ""
    plain: bool = False  # text that others on the network can read: no `cloud.ca`, and not the loopback
    tls_fault: str = ""  # why the handshake fails
    not_a_gateway: str = ""
    version_fault: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """The files of the `[cloud]` table: whether they can be used, and what this device's own certificate says."""

    path: str  # of the certificate, or of the file at fault
    fault: str = ""  # why they cannot be used
    begins_s: float | None = None
    ends_s: float | None = None
    names: tuple[str, ...] = ()  # subject alternative names
    wanted: str = ""  # the one that it must have
    key_mode: int = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFacts:
    """root.json as it lies on the device."""

    path: str  # empty: none is configured
    exists: bool = True
    fault: str = ""  # why it is no root.json
    expires_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotFacts:
    """One machine class's slots; `fault` empty: the model there loads."""

    machine_class: str
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFacts:
    """One machine, and what was heard of it; no windows: it was not listened to, or said nothing."""

    machine: Machine
    windows: tuple[Window, ...] = ()
    listened_s: float = 0.0  # 0: it was not listened to
    ended: bool = False  # a recording that came to its end
    fault: str = ""  # why it could not be opened or read
    every_s: float = 10.0  # the measuring schedule that the false-alarm budget counts on
    zones: str = ""  # the machine group whose limits of velocity it is held against


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it; a part that no configuration names is absent."""

    host: Host
    store: StoreFacts | None = None
    gateways: tuple[GatewayFacts, ...] = ()
    certificate: CertificateFacts | None = None
    trust: TrustFacts | None = None
    slots: tuple[SlotFacts, ...] = ()
    sensors: tuple[SensorFacts, ...] = ()
    sources_fault: str = ""
