"""What the alert's page says of the raw data around an alert: asked for, on its way, come, or nothing there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from cloud.alerts.rules import raw_span
from cloud.alerts.types import Alert, RawOrder
from cloud.web.drawing import waveform
from cloud.web.history import Point, RawWindows
from cloud.web.site import Site

NOTHING_AFTER_S = 900.0  # from when the device was told: a slow link needs minutes for the first windows


@dataclass(frozen=True, slots=True)
class RawData:
    """An order's standing; `state` is asked | told | come | nothing."""

    order: RawOrder
    state: str
    windows: RawWindows | None
    unit: str
    picture: Markup

    @property
    def rms(self) -> float:
        """Of the window that is shown, its mean taken off, in its unit."""
        return float(self.windows.shown.values.std()) if self.windows else 0.0

    @property
    def peak(self) -> float:
        """The largest distance from 0 in the window that is shown."""
        return float(np.abs(self.windows.shown.values).max()) if self.windows else 0.0

    @property
    def seconds(self) -> float:
        """The length of the window that is shown."""
        return len(self.windows.shown.values) * self.windows.shown.step_s if self.windows else 0.0


def raw_data(site: Site, alert: Alert, units: Mapping[str, str]) -> RawData | None:
    """Return where the newest order for an alert's raw data stands; None while nobody asked. Units by channel."""
    order = site.book.raw_order(alert)
    if order is None:
        return None
    at = Point(alert.site, alert.machine, alert.said.channel)
    found = site.histories.raw(at, order.source, raw_span(alert.raised_ns), alert.raised_ns)
    if found is None:
        return RawData(order, _waiting(order, site.clock()), None, "", Markup())
    return RawData(order, "come", found, units.get(found.channel, ""), waveform(found.shown.values))


def _waiting(order: RawOrder, now_ns: int) -> str:
    if order.told_ns is None:
        return "asked"
    return "nothing" if now_ns - order.told_ns > NOTHING_AFTER_S * 1e9 else "told"
