"""Which bearing a machine has: its geometry, or its maker's number in the small catalogue `bearings.toml`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.types import Bearing
from models.errors import ConfigurationError

FILE = Path(__file__).with_name("bearings.toml")
Length = Annotated[float, Meta(gt=0, le=1e6)]


class BearingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Geometry of the bearing; lengths in any one unit."""

    balls: Annotated[int, Meta(gt=0)]
    ball_diameter: Length
    pitch_diameter: Length
    contact_angle_deg: Annotated[float, Meta(ge=0, lt=90)] = 0.0

    def __post_init__(self) -> None:
        if self.ball_diameter >= self.pitch_diameter:
            raise ValueError("ball_diameter is not below pitch_diameter")
        if self.balls * self.ball_diameter > math.pi * self.pitch_diameter:
            raise ValueError("so many balls do not fit on the circle of pitch_diameter")


class _Known(BearingConfig, frozen=True, kw_only=True):
    """A bearing of the catalogue."""

    source: str  # who published its geometry


def catalogue(file: Path = FILE) -> dict[str, BearingConfig]:
    """By maker and number; ConfigurationError names the file and what is wrong with it."""
    try:
        return dict(msgspec.toml.decode(file.read_bytes(), type=dict[str, _Known]))
    except (OSError, ValueError) as e:
        raise ConfigurationError(
            f"cannot be read: {e}", where=str(file), mend="each has balls, ball_diameter, pitch_diameter and source"
        ) from e


def bearing_of(given: BearingConfig | str | None) -> Bearing | None:
    """The geometry of what was configured; ConfigurationError for a number that the catalogue does not have.

    Blanks, hyphens and capitals of a number do not count: `SKF 6205-2RS JEM` is `skf 6205 2rs jem`.
    """
    found = _numbered(given) if isinstance(given, str) else given
    if found is None:
        return None
    return Bearing(
        balls=found.balls,
        ball_diameter=found.ball_diameter,
        pitch_diameter=found.pitch_diameter,
        contact_angle_deg=found.contact_angle_deg,
    )


def _numbered(number: str) -> BearingConfig:
    known = catalogue()
    for name, bearing in known.items():
        if _bare(name) == _bare(number):
            return bearing
    raise ConfigurationError(
        f"no bearing {number!r} in the catalogue",
        mend=f"it has {', '.join(known)}; of another, give balls, ball_diameter and pitch_diameter",
    )


def _bare(number: str) -> str:
    return "".join(c for c in number.upper() if c not in " -")
