"""What an alarm costs: a crew states a false-alarm budget on a measuring schedule, and the limit follows from it."""

from __future__ import annotations

import math

import msgspec

YEAR_S = 365.25 * 86_400
_STEPS = 20


class DetectionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a machine is judged against its own healthy start; the defaults are meant to be left alone."""

    false_alarms_per_year: float = 1.0  # the budget of one healthy machine
    every_s: float = 10.0  # the measuring schedule that the budget counts on, seconds between windows
    baseline_windows: int = 30  # windows that make the healthy start of a channel
    smoothing_windows: float = 5.0  # time constant of the moving average, in windows
    # A healthy machine's features differ by some 10 % (ln 1.1 is 0.1) between days, however steady its first minutes.
    smallest_scale: float = 0.1
    act_factor: float = 2.0  # zone D begins at this many times the limit of zone C
    deadband: float = 0.2  # share of the limit that the deviation must fall below it to return to normal
    on_delay_windows: int = 6  # windows in a row above the limit before an alarm
    off_delay_windows: int = 30  # windows in a row below the deadband before it returns to normal
    sensor_on_delay_windows: int = 3  # windows in a row with a sensor fault before its alarm
    sensor_off_delay_windows: int = 10  # windows in a row without one before it returns to normal

    def __post_init__(self) -> None:
        counts = (
            self.baseline_windows,
            self.on_delay_windows,
            self.off_delay_windows,
            self.sensor_on_delay_windows,
            self.sensor_off_delay_windows,
        )
        if min(counts) < 1 or self.smoothing_windows < 1:
            raise ValueError("windows are counted from 1")
        if min(self.false_alarms_per_year, self.every_s, self.smallest_scale) <= 0:
            raise ValueError("false_alarms_per_year, every_s and smallest_scale must be above 0")
        if self.act_factor < 1 or not 0 <= self.deadband < 1:
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
