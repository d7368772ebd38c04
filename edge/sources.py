"""From the configuration to sensors; the reader of recordings is imported only where there are recordings."""

# ruff: noqa: PLC0415 - a device that listens to real machines never imports the reader of recordings
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.config import MachineConfig, ReplaySource, SimulatorSource
from edge.sensors import Sensor
from edge.sensors.simulator import Simulator
from models.errors import ConfigurationError, RecordingRejected

if TYPE_CHECKING:
    from edge.sensors.recording import Recording


@dataclass(frozen=True, slots=True)
class Source:
    """A sensor, and what the loop must know of it."""

    sensor: Sensor
    replay: bool  # event times belong to a recording or a simulation, not to the device's clock
    hurried: bool  # as fast as possible: it can wait, and its windows may be kept in groups
    every_s: float | None = None  # its measuring schedule


def open_sources(machines: Iterable[MachineConfig]) -> list[Source]:
    """A sensor for each configured machine; ConfigurationError or RecordingRejected where one cannot be opened."""
    return [_open(m) for m in machines]


def _open(machine: MachineConfig) -> Source:
    match machine.source:
        case SimulatorSource() as s:
            sensor = Simulator(
                machine.name,
                s.seed,
                s.fault,
                s.life_seconds,
                s.every_seconds,
                speed=s.speed or None,
                machine_class=machine.machine_class,
                line=machine.line,
                speed_rpm=s.speed_rpm,
            )
            return Source(sensor, replay=s.speed != 1.0, hurried=not s.speed, every_s=s.every_seconds)
        case ReplaySource() as s:
            found, rejected = find([s.path], only=[s.recording or machine.name], machine_class=machine.machine_class)
            if rejected:
                raise rejected[0]
            if not found:
                raise ConfigurationError(f"no recording of {machine.name}", where=s.path)
            wired = replace(found[0].machine, name=machine.name, line=machine.line)
            return of_recording(replace(found[0], machine=wired), s.speed or None)


def find(
    paths: Iterable[str | Path], *, only: Iterable[str], machine_class: str
) -> tuple[list[Recording], list[RecordingRejected]]:
    """The usable recordings below `paths`, and what is wrong with the others; `only` nothing means all."""
    from edge.sensors.formats.options import Options
    from edge.sensors.replay import find_recordings

    found = find_recordings(paths, list(only) or None, options=Options(machine_class=machine_class))
    good = [f for f in found if not isinstance(f, RecordingRejected)]
    return good, [f for f in found if isinstance(f, RecordingRejected)]


def of_recording(recording: Recording, speed: float | None) -> Source:
    """A recording as a source; `speed` None is as fast as possible."""
    return Source(recording.open(speed), replay=True, hurried=speed is None, every_s=recording.every_s)
