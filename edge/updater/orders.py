"""What the cloud may ask of a device, and the link it asks through. Plain types: `edge.updater.client` speaks gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a machine class shall run. Only a hint: the signed metadata decides."""

    machine_class: str
    bundle: str  # the TUF target's name; empty: no model


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The crew's answer to a device."""

    id: str
    kind: str  # acknowledge | new_baseline | send_flight
    machine: str
    alert_key: str = ""
    from_ns: int = 0  # event times of the raw windows that are asked for, both included
    to_ns: int = 0


class RolloutLink(Protocol):
    """The three calls of the rollout service; each raises `models.errors.Unavailable` when the cloud is away."""

    def watch(self, running_bundle: str) -> AsyncIterator[Assigned | Command]:
        """Yield what is assigned at once, then every change, until the stream ends."""
        ...

    def fetch(self, path: str) -> AsyncGenerator[bytes, None]:
        """Yield one file of the repository in chunks; `KeyError` if there is none of that name."""
        ...

    async def report(self, bundle: str, *, running: bool, reason: str = "") -> None:
        """Say what became of an assignment: it runs, or it is refused and why."""
