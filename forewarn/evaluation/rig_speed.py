"""The speed of a record that does not tell it: the one, among those of the training's machines, that fits best.

It is sought in the first windows only, so that what is said later depends on nothing after them. The parts' lines lie
13 % apart and more, so a few per cent of freedom mix up none; among speeds that differ by more, none is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from edge.features.envelope_diagnosis import SLIP, found_lines
from edge.sensors.recording import Recording

WINDOWS = 4  # that are listened to before the speed is told
_STEP = 0.003  # of the speed: as near as a speed must be known
_WIDEST = 1.12  # of the highest speed over the lowest: beyond, one part's line may be another's at another speed


def with_speed(recording: Recording, known_rpm: Sequence[float]) -> Recording | None:
    """The same recording with the speed at which the most prominent line of its first windows stands out most.

    None without geometry or a known speed, with fewer windows than `WINDOWS`, or where known speeds lie too far apart.
    """
    bearing = recording.machine.bearing
    windows = [r.samples for r in islice(recording.read(), WINDOWS)]
    if bearing is None or not known_rpm or len(windows) < WINDOWS:
        return None
    low, high = min(known_rpm) * (1.0 - SLIP), max(known_rpm) * (1.0 + SLIP)
    if high > _WIDEST * low:
        return None
    tried = np.geomspace(low, high, int(np.log(high / low) / _STEP) + 2)
    rates = {c.name: c.rate_hz for c in recording.machine.channels}
    whole = {n: np.concatenate([w[n] for w in windows if n in w]) for n in windows[0]}

    def prominence(rpm: float) -> float:
        found = [found_lines([x], rates[n], bearing, rpm) for n, x in whole.items()]
        return max((line.prominence for lines in found for line in lines or ()), default=0.0)

    best = max(tried.tolist(), key=prominence)
    return replace(recording, machine=replace(recording.machine, speed_rpm=best))
