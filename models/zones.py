"""Severity zones of vibration velocity, from `zones.toml`: a first judgement before a machine has a history."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from models.errors import ConfigurationError

FILE = Path(__file__).with_name("zones.toml")


@dataclass(frozen=True, slots=True)
class ZoneLimits:
    """The limits of one machine group on one kind of support, in mm/s."""

    group: str
    part: str  # of the standard
    edition: str
    machines: str
    support: str
    limits_mm_s: tuple[float, float, float]  # A/B, B/C, C/D

    def zone(self, velocity_mm_s: float) -> str:
        """A, B, C or D; a value on a limit is still in the better zone."""
        return "ABCD"[sum(velocity_mm_s > limit for limit in self.limits_mm_s)]


def load_zones(file: Path = FILE) -> dict[str, ZoneLimits]:
    """By group; ConfigurationError names the file and the group that is wrong."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise ConfigurationError(f"cannot be read: {e}", where=str(file)) from e
    return {group: _limits(group, table, f"{file}: {group}") for group, table in tables.items()}


def _limits(group: str, table: object, where: str) -> ZoneLimits:
    keys = ("part", "edition", "machines", "support")
    mend = "part, edition, machines and support are texts, limits_mm_s three numbers above 0, rising"
    if not isinstance(table, dict) or set(table) != {*keys, "limits_mm_s"}:
        raise ConfigurationError("keys are missing or unknown", where=where, mend=mend)
    limits = table["limits_mm_s"]
    rising = isinstance(limits, list) and len(limits) == 3 and all(type(x) in (int, float) for x in limits)
    if not rising or not 0 < limits[0] < limits[1] < limits[2] or not all(isinstance(table[k], str) for k in keys):
        raise ConfigurationError("a value does not fit", where=where, mend=mend)
    first, second, third = map(float, limits)
    part, edition, machines, support = (table[k] for k in keys)
    return ZoneLimits(group, part, edition, machines, support, (first, second, third))
