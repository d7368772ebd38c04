"""What the device's file says of a live machine's channels, whatever the bus they come by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.bearing.catalogue import BearingConfig, bearing_of
from edge.sensors.kinds import Positive, SourceConfig, Wiring
from edge.types import Channel, ChannelKind, Machine
from models.errors import ConfigurationError

_SLOWEST_HZ = 1.0  # of a waveform: what nobody said, or no waveform


class ChannelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One measured quantity; what arrives, times `scale`, plus `offset`, is in `unit`."""

    name: Annotated[str, Meta(min_length=1, max_length=64, description="unique in the machine")]
    kind: Annotated[
        Literal["waveform", "scalar"], Meta(description="waveform: fast enough for a spectrum; scalar: slow")
    ] = "waveform"
    unit: Annotated[str, Meta(description="physical: g, m/s2, mm/s, C, bar, ...")] = "1"
    rate_hz: Annotated[
        Positive,
        Meta(description="samples a second; a waveform must say it truly, a slow channel comes so often at least"),
    ] = 1.0
    scale: Annotated[float, Meta(description="units a count; 1 where values come in units")] = 1.0
    offset: Annotated[float, Meta(description="units, added after scaling")] = 0.0

    def __post_init__(self) -> None:
        if self.kind == "waveform" and self.rate_hz <= _SLOWEST_HZ:
            raise ValueError(f"channel {self.name!r} needs its `rate_hz`: frequencies are reckoned with it")
        if not (math.isfinite(self.scale) and self.scale and math.isfinite(self.offset)):
            raise ValueError(f"channel {self.name!r} has a `scale` of 0, or one that is not finite")


class LiveConfig(SourceConfig, frozen=True, kw_only=True):
    """The keys that all live kinds share."""

    channels: Annotated[
        tuple[ChannelConfig, ...], Meta(min_length=1, max_length=64, description="what is measured, one table each")
    ]
    speed_rpm: Annotated[
        Positive | None,
        Meta(description="of the shaft, where it is steady; a channel of unit `rpm` or `pulse` goes before"),
    ] = None
    bearing: Annotated[
        BearingConfig | str | None,
        Meta(
            description="maker and number of one in edge/bearing/bearings.toml, or a table with balls, ball_diameter, "
            "pitch_diameter and contact_angle_deg (0 where it is absent)"
        ),
    ] = None
    every_seconds: Annotated[Positive | None, Meta(description="time between windows, where it is known")] = None
    buffer_windows: Annotated[
        int, Meta(ge=1, le=4096, description="kept while the device is busy; over it the oldest go, and it is said")
    ] = 64
    silent_seconds: Annotated[Positive, Meta(description="without a window for so long, it is said")] = 60.0
    longest_retry_seconds: Annotated[Positive, Meta(description="attempts to connect are spread up to this far")] = 30.0

    def wired(self, wiring: Wiring) -> Machine:
        """The machine before its first window; ConfigurationError when its channels cannot be told apart."""
        names = [c.name for c in self.channels]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(
                    f"channel {name!r} is there twice", where=f"machine {wiring.name}", mend="name each channel once"
                )
        try:
            bearing = bearing_of(self.bearing)
        except ConfigurationError as e:
            raise ConfigurationError(e.what, where=f"machine {wiring.name}", mend=e.mend) from e
        return Machine(
            name=wiring.name,
            machine_class=wiring.machine_class,
            channels=described(self.channels),
            speed_rpm=self.speed_rpm,
            bearing=bearing,
            line=wiring.line,
        )


def described(channels: Sequence[ChannelConfig]) -> tuple[Channel, ...]:
    """The channels as the rest of the device knows them."""
    return tuple(Channel(name=c.name, kind=ChannelKind(c.kind), unit=c.unit, rate_hz=c.rate_hz) for c in channels)


def secret(file: str) -> str:
    """The first line of a password's file, or nothing; ConfigurationError when it cannot be read."""
    if not file:
        return ""
    try:
        return Path(file).read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigurationError("the password's file cannot be read", where=file, mend="check its path") from e
