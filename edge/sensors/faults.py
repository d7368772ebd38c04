"""How faults of a rotating machine look in its vibration, as the simulator makes them.

Physics after Randall, Vibration-based Condition Monitoring (2021): a shaft fault adds harmonics of the shaft speed; a
rolling-element fault strikes at its own rate, slips a little, is modulated as it passes the load zone, and rings a
structural resonance.
"""

from __future__ import annotations

from dataclasses import dataclass

FAULTS = ("none", "outer_race", "inner_race", "ball", "cage", "unbalance", "misalignment", "looseness")

# Amplitude (g) of each shaft order at full severity.
SHAFT_ORDERS: dict[str, dict[int, float]] = {
    "unbalance": {1: 2.5, 2: 0.15},
    "misalignment": {1: 0.6, 2: 1.8, 3: 0.7},
    "looseness": {1: 0.8, 2: 0.6, 3: 0.6, 4: 0.5, 5: 0.4, 6: 0.3},
}
HEALTHY_ORDERS = {1: 0.06, 2: 0.02, 3: 0.01}


@dataclass(frozen=True, slots=True)
class Impacts:
    """A train of strikes: whose line it follows, what modulates it, and how loud it is at full severity."""

    line: str  # bpfo, bpfi, bsf, ftf
    modulation: str  # shaft, cage or none: what carries the spall through the load zone
    depth: float  # 0 none .. 1 to silence
    peak: float  # g


IMPACTS = {
    "outer_race": Impacts("bpfo", "none", 0.0, 9.0),
    "inner_race": Impacts("bpfi", "shaft", 0.8, 9.0),
    "ball": Impacts("bsf", "cage", 0.7, 7.0),
    "cage": Impacts("ftf", "none", 0.0, 8.0),
}


def severity(life_share: float, onset: float, steepness: float) -> float:
    """0 until `onset` (a share of life), then growing exponentially to 1 at the end of life."""
    if life_share <= onset:
        return 0.0
    grown = (life_share - onset) / (1.0 - onset)
    return float((2.0 ** (steepness * grown) - 1.0) / (2.0**steepness - 1.0))
