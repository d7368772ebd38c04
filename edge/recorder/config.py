"""The flight recorder's keys."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class FlightConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The flight recorder: raw windows of the last days on this device's disk, whether or not there is a cloud."""

    quota_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="for the ring, over all machines; the oldest windows go first; 0: no flight recorder. Two "
            "channels of 2,560 samples every 10 s need 90 MB a day",
        ),
    ] = 0
    frozen_quota_bytes: Annotated[
        int, Meta(ge=0, description="for the windows around alarms, beside the ring; the oldest alarm's go first")
    ] = 200_000_000
    windows_before: Annotated[int, Meta(ge=0, le=10_000, description="kept apart before an alarm")] = 30
    windows_after: Annotated[int, Meta(ge=0, le=10_000, description="kept apart after it")] = 30
    slice_seconds: Annotated[float, Meta(gt=0, description="of event time in one file of the ring")] = 600.0
