"""What an alarm costs: a crew states a false-alarm budget on a measuring schedule, and the limit follows from it."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from msgspec import Meta

YEAR_S = 365.25 * 86_400
_STEPS = 20


class DetectionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a machine is judged against its own healthy start; the defaults are meant to be left alone."""

    false_alarms_per_year: Annotated[
        float,
        Meta(
            description="the budget of one healthy machine; its limits are wider than that asks for until its first "
            "running week is over"
        ),
    ] = 1.0
    every_s: Annotated[
        float,
        Meta(description="seconds between windows, which the budget counts on; a source's `every_seconds` goes before"),
    ] = 10.0
    baseline_windows: Annotated[
        int, Meta(description="windows that make a channel's healthy start, in each regime of speed and load")
    ] = 30
    smoothing_windows: Annotated[float, Meta(description="time constant of the moving average, in windows")] = 5.0
    # A healthy machine's features differ by some 10 % (ln 1.1 is 0.1) between days, however steady its first minutes.
    smallest_scale: Annotated[
        float,
        Meta(description="standard deviation of a feature's logarithm that is taken at least"),
    ] = 0.1
    act_factor: Annotated[float, Meta(description="zone D begins at so many times the limit of zone C")] = 2.0
    deadband: Annotated[
        float, Meta(description="share of the limit by which the deviation must fall below it to return to normal")
    ] = 0.2
    on_delay_windows: Annotated[int, Meta(description="windows in a row above the limit before an alarm")] = 6
    off_delay_windows: Annotated[
        int, Meta(description="windows in a row below the deadband before it returns to normal")
    ] = 30
    sensor_on_delay_windows: Annotated[
        int, Meta(description="windows with a sensor fault, in a row or of four times as many, before its alarm")
    ] = 3
    sensor_off_delay_windows: Annotated[
        int, Meta(description="windows in a row without one before it returns to normal")
    ] = 10

    def __post_init__(self) -> None:
        counts = (
            self.baseline_windows,
            self.on_delay_windows,
            self.off_delay_windows,
            self.sensor_on_delay_windows,
            self.sensor_off_delay_windows,
        )
        if min(counts) < 1 or not 1 <= self.smoothing_windows < math.inf:
            raise ValueError("windows are counted from 1")
        if not all(0 < x < math.inf for x in (self.false_alarms_per_year, self.every_s, self.smallest_scale)):
            raise ValueError("false_alarms_per_year, every_s and smallest_scale must be above 0")
        if not 1 <= self.act_factor < math.inf or not 0 <= self.deadband < 1:
            raise ValueError("act_factor must be at least 1, deadband from 0 to below 1")

    def limit(self, channels: int) -> float:
        """Return the deviation at which zone C begins on day zero, for a machine of so many judged channels.

        A standard normal drawn once a window and channel lies above it as often as the budget allows. The deviation is
        a smoothed median with a smaller spread, and the on-delay comes on top: what is left over is for slow, harmless
        changes, which no statistics of the first minutes can foresee. `OwnLimits` learns from the first week.
        """
        share = self.false_alarms_per_year * self.every_s / YEAR_S / max(channels, 1)
        return _exceeded(min(max(share, 1e-15), 0.1))


def _exceeded(share: float) -> float:
    """The value that a standard normal exceeds with this probability, 0.1 at most; by Newton's method."""
    x = math.sqrt(-2.0 * math.log(share))
    for _ in range(_STEPS):
        x += (math.erfc(x / math.sqrt(2.0)) / 2.0 - share) * math.sqrt(2.0 * math.pi) * math.exp(x * x / 2.0)
    return x
