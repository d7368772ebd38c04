"""Which frequencies a damaged bearing shows: a spall is struck at a rate that geometry and speed fix.

Randall & Antoni, Rolling element bearing diagnostics - a tutorial, MSSP 2011.
"""

from __future__ import annotations

import math

from edge.types import Bearing

LINES = ("bpfo", "bpfi", "bsf", "ftf")


def fault_frequencies(bearing: Bearing, speed_rpm: float) -> dict[str, float]:
    """Outer race, inner race, ball spin and cage frequency in Hz, outer ring standing (Randall 2021, section 2.2.3)."""
    shaft = speed_rpm / 60.0
    ratio = bearing.ball_diameter / bearing.pitch_diameter * math.cos(math.radians(bearing.contact_angle_deg))
    return {
        "bpfo": bearing.balls / 2.0 * shaft * (1.0 - ratio),
        "bpfi": bearing.balls / 2.0 * shaft * (1.0 + ratio),
        "bsf": bearing.pitch_diameter / (2.0 * bearing.ball_diameter) * shaft * (1.0 - ratio * ratio),
        "ftf": shaft / 2.0 * (1.0 - ratio),
    }


def geometry(outer_hz: float, inner_hz: float, shaft_hz: float) -> Bearing:
    """The bearing that shows these race frequencies, its pitch diameter taken as 1; the inverse of the above."""
    return Bearing(
        balls=round((outer_hz + inner_hz) / shaft_hz),
        ball_diameter=(inner_hz - outer_hz) / (inner_hz + outer_hz),
        pitch_diameter=1.0,
    )
