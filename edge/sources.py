"""From the configuration to sensors."""

from __future__ import annotations

from collections.abc import Iterable

from edge.config import MachineConfig
from edge.sensors.kinds import Source, Wiring
from edge.sensors.made import find, of_recording

__all__ = ["Source", "find", "of_recording", "open_sources"]


def open_sources(machines: Iterable[MachineConfig]) -> list[Source]:
    """A sensor for each configured machine; ConfigurationError or RecordingRejected where one cannot be opened."""
    return [m.source.open(Wiring(m.name, m.machine_class, m.line)) for m in machines]
