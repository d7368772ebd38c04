"""Sources that need no machine: the simulator, and recordings; their readers are imported only when one is opened."""

# ruff: noqa: PLC0415 - a device that listens to real machines never imports the reader of recordings
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import msgspec
from msgspec import Meta

from edge.sensors.kinds import Positive, Source, SourceConfig, Wiring
from models.errors import ConfigurationError, RecordingRejected

if TYPE_CHECKING:
    from edge.sensors.recording import Recording


class SimulatorSource(SourceConfig, frozen=True, kw_only=True, tag="simulator"):
    """A machine that is made up and wears out; everything it says is marked as simulated."""

    fault: Annotated[
        str,
        Meta(
            description="what wears out: outer_race, inner_race, ball, cage, unbalance, misalignment, looseness or none"
        ),
    ] = "outer_race"
    seed: Annotated[int, Meta(ge=0, description="equal seeds and names give equal machines")] = 0
    life_seconds: Annotated[Positive | None, Meta(description="source time until it fails; random if absent")] = None
    every_seconds: Annotated[Positive, Meta(description="source time between windows")] = 10.0
    speed: Annotated[float, Meta(ge=0, description="1: real time; 60: an hour a minute; 0: as fast as possible")] = 1.0
    speed_rpm: Annotated[Positive, Meta(description="of the shaft")] = 1800.0
    regimes: Annotated[bool, Meta(description="speed and load change every few hours, each on a channel")] = False

    def open(self, wiring: Wiring) -> Source:
        """A simulated machine."""
        from edge.sensors.simulator import Simulator

        sensor = Simulator(
            wiring.name,
            self.seed,
            self.fault,
            self.life_seconds,
            self.every_seconds,
            speed=self.speed or None,
            machine_class=wiring.machine_class,
            line=wiring.line,
            speed_rpm=self.speed_rpm,
            regimes=self.regimes,
        )
        return Source(sensor, replay=self.speed != 1.0, hurried=not self.speed, every_s=self.every_seconds)


class ReplaySource(SourceConfig, frozen=True, kw_only=True, tag="replay"):
    """A recording, replayed once; after a restart it goes on where it stopped."""

    path: Annotated[str, Meta(description="file or folder, relative to this file")]
    recording: Annotated[str, Meta(description="which of the folder's recordings; the machine's name if empty")] = ""
    speed: Annotated[float, Meta(ge=0, description="1: as it was recorded; 0: as fast as possible")] = 0.0

    def placed(self, folder: Path) -> Self:
        """The same with an absolute path."""
        return msgspec.structs.replace(self, path=str(folder / self.path))

    def open(self, wiring: Wiring) -> Source:
        """The recording, read once to its end; RecordingRejected when it cannot be used."""
        only = [self.recording or wiring.name]
        found, rejected = find([self.path], only=only, machine_class=wiring.machine_class)
        if rejected:
            raise rejected[0]
        if not found:
            raise ConfigurationError(f"no recording of {wiring.name}", where=self.path)
        wired = replace(found[0].machine, name=wiring.name, line=wiring.line)
        return of_recording(replace(found[0], machine=wired), self.speed or None)


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
