"""The keys of the device's own page."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class PageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A small page that this device serves by itself: its machines, their open alarms and their last days."""

    listen: Annotated[
        str,
        Meta(
            description='`host:port` of the loopback, such as "127.0.0.1:8090"; it has no login, so a phone reaches it '
            "through a proxy of the plant's that has one; empty: no page"
        ),
    ] = ""
    days: Annotated[
        int,
        Meta(
            ge=0,
            le=90,
            description="how many days of one row a minute and machine are kept in the store, about 20 kB a day",
        ),
    ] = 7
