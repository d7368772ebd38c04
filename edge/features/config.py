"""When the features that take their own time are computed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class FeaturesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long a long measurement is, for velocity and shaft orders, and how often the dear features are computed."""

    long_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=60,
            description="windows that follow each other without a pause are joined to this length at least, 6 "
            "revolutions where the speed is known (up to 10 s); a schedule with pauses needs windows so long",
        ),
    ] = 1.0
    kurtogram_every: Annotated[
        int, Meta(ge=0, description="of so many long measurements one has a kurtogram, the first included; 0: none")
    ] = 10
