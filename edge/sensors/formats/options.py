"""What a recording does not say of itself: the caller's choices, and the small TOML file beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.bearing.catalogue import BearingConfig, bearing_of
from edge.types import Channel, ChannelKind, Machine
from models.errors import ConfigurationError, RecordingRejected

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._ -]")


class Options(msgspec.Struct, frozen=True):
    """How recordings without a schedule of their own are replayed."""

    machine_class: str = "bearing"
    window_samples: int = 8192  # of continuous recordings; a remainder of more than half is kept


class Sidecar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pump.toml` beside `pump.wav`: what is known of the machine and its channels."""

    name: str = ""  # default: the file's name
    machine_class: str = ""
    rate_hz: float | None = None  # must agree with the file where that knows its rate
    scale: float = 1.0  # physical units per count, or per full scale of a WAV file
    unit: str = ""  # of all channels, where `units` does not name one
    units: dict[str, str] = {}
    speed_rpm: float | None = None
    window_samples: int | None = None
    bearing: BearingConfig | str | None = None  # geometry, or a number of edge/bearing/bearings.toml


def sidecar(path: Path) -> Sidecar:
    """The sidecar of a recording, or the defaults; RecordingRejected when it is not understood."""
    file = path.with_suffix(".toml")
    if not file.exists():
        return Sidecar()
    try:
        found = msgspec.toml.decode(file.read_bytes(), type=Sidecar)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise RecordingRejected(str(e), where=str(file), mend="correct the file that describes the recording") from e
    for key in ("rate_hz", "speed_rpm", "window_samples"):
        value = getattr(found, key)
        if value is not None and not value > 0:
            raise RecordingRejected(f"{key} is {value}", where=str(file), mend="give a value above 0")
    try:
        bearing_of(found.bearing)
    except ConfigurationError as e:
        raise RecordingRejected(e.what, where=str(file), mend=e.mend) from e
    return found


def machine_name(text: str) -> str:
    """A name that may go into keys and pages: letters, digits, `._ -`, at most 64, starting with a letter or digit."""
    return _NOT_IN_A_NAME.sub("-", text).lstrip("._ -")[:64].rstrip() or "unnamed"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that holds one recording, and what is known of it from elsewhere."""

    path: Path
    options: Options
    described: Sidecar

    @property
    def window_samples(self) -> int:
        """How long the windows of a continuous recording are."""
        return self.described.window_samples or self.options.window_samples

    def agreed_rate(self, known: float | None) -> float | None:
        """The rate that file and sidecar agree on within 1 %; RecordingRejected when they contradict each other."""
        said = self.described.rate_hz
        if known and said and abs(known - said) > 0.01 * said:
            raise RecordingRejected(
                f"the file was sampled at {known:g} Hz, {self.path.stem}.toml says {said:g} Hz",
                where=str(self.path),
                mend="correct rate_hz, or leave it out",
            )
        return known or said

    def channel(self, name: str, kind: ChannelKind, rate_hz: float, unit: str = "") -> Channel:
        """A channel, its unit as the sidecar says, else `unit`, else a bare number."""
        said = self.described.units.get(name) or self.described.unit
        return Channel(name=name, kind=kind, unit=said or unit or "1", rate_hz=rate_hz)

    def machine(self, channels: tuple[Channel, ...]) -> Machine:
        """The machine that was recorded."""
        return Machine(
            name=machine_name(self.described.name or self.path.stem),
            machine_class=self.described.machine_class or self.options.machine_class,
            channels=channels,
            speed_rpm=self.described.speed_rpm,
            bearing=bearing_of(self.described.bearing),
        )


def source(path: Path, options: Options) -> Source:
    """The file with its sidecar; RecordingRejected when that is not understood."""
    return Source(path, options, sidecar(path))
