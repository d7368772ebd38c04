"""What things cost, from a TOML file of the plant's own figures; docs/costs.toml is one with the defaults."""

from __future__ import annotations

from pathlib import Path

import msgspec

from models.errors import ConfigurationError


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Money in one currency, times in hours; the defaults are guesses for a medium pump, not of any plant."""

    currency: str = "EUR"
    failure: float = 20_000.0  # parts, labour and damage beside it, where a machine failed in operation
    planned_repair: float = 5_000.0  # the same repair before it failed
    false_alarm_visit: float = 500.0  # somebody goes there and finds nothing
    downtime_per_hour: float = 1_000.0
    failure_downtime_hours: float = 24.0
    planned_downtime_hours: float = 4.0
    planning_hours: float = 24.0  # from an alarm to the planned repair; an alarm with less lead than this is too late
    horizon_hours: float = 720.0  # an alarm longer than this before the failure finds nothing: it is a false one

    @property
    def of_failure(self) -> float:
        """What one failure costs, downtime included."""
        return self.failure + self.failure_downtime_hours * self.downtime_per_hour

    @property
    def of_repair(self) -> float:
        """What one planned repair costs, downtime included."""
        return self.planned_repair + self.planned_downtime_hours * self.downtime_per_hour


def load_costs(file: Path | None) -> Costs:
    """Read a file of costs, or return the defaults; raises `ConfigurationError` with the key."""
    if file is None:
        return Costs()
    try:
        costs = msgspec.toml.decode(file.read_bytes(), type=Costs)
    except OSError as e:
        raise ConfigurationError(f"cannot be read: {e.strerror}", where=str(file)) from e
    except (msgspec.ValidationError, msgspec.DecodeError) as e:
        raise ConfigurationError(str(e), where=str(file), mend="docs/costs.toml names every key") from e
    values = {k: v for k, v in msgspec.structs.asdict(costs).items() if isinstance(v, float)}
    if wrong := [key for key, value in values.items() if not value >= 0.0]:
        raise ConfigurationError("must be 0 or more", where=f"{file}: {wrong[0]}")
    if costs.horizon_hours <= costs.planning_hours:
        raise ConfigurationError(
            "must be longer than planning_hours: no alarm could come in time", where=f"{file}: horizon_hours"
        )
    return costs
