"""What the severity zones of ISO 20816 say beside an alarm: evidence, never an alarm of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge.types import SENSOR, Alarm, AlarmChange, Evidence, FeatureRow, Kind, Quality
from models.zones import ZoneLimits

VELOCITY = "velocity_rms@1"


class ZoneEvidence:
    """The newest velocity of each channel of one machine, against the limits of its group."""

    def __init__(self, limits: ZoneLimits | None) -> None:
        self._limits = limits
        self._velocity: dict[str, float] = {}

    def add(self, rows: Sequence[FeatureRow], alarms: list[Alarm]) -> list[Alarm]:
        """Take a window's rows; its alarms of the machine, with the highest velocity where that is in zone C or D."""
        if self._limits is None:
            return alarms
        for row in rows:
            if row.kind is Kind.FEATURES and VELOCITY in row.schema.columns:
                self._velocity.pop(row.channel, None)
                if not row.quality & Quality.SENSOR_FAULT:
                    self._velocity[row.channel] = float(row.values[row.schema.columns.index(VELOCITY)])
        value, channel = max(((v, n) for n, v in self._velocity.items()), default=(0.0, ""))
        zone = self._limits.zone(value)
        if zone in "AB":
            return alarms
        limit = self._limits.limits_mm_s["BCD".index(zone)]
        found = Evidence(feature=VELOCITY, channel=channel, unit="mm/s", value=value, baseline=0.0, limit=limit)
        return [a if _not_of_the_machine(a) else replace(a, evidence=(*a.evidence, found)) for a in alarms]


def _not_of_the_machine(alarm: Alarm) -> bool:
    return alarm.part == SENSOR or alarm.change is AlarmChange.RETURNED_TO_NORMAL
