"""What is broken, as far as the figures carry: a part and a fault where they point to one, the machine where not."""

from __future__ import annotations

from collections.abc import Mapping

from edge.detection.baseline import LINES, ChannelBaseline
from edge.types import Evidence

FAULT_OF_LINE = dict(zip(LINES, ("outer_race", "inner_race", "ball", "cage"), strict=True))
_CLEAR_LEAD = 1.5  # the strongest line must be this many times the next one before it is named
_MOST_EVIDENCE = 6


def part_and_fault(
    channels: Mapping[str, ChannelBaseline], limit: float, *, looked_at: bool = False
) -> tuple[str, str]:
    """Catalogue keys: a bearing's part when one envelope line leads clearly, else (machine, degradation).

    `looked_at` means that `edge.detection.bearing_part` had samples enough and named no part: then only the cage, which
    it does not judge, can be named.
    """
    found = sorted(((max((c.line(f) for c in channels.values()), default=0.0), f) for f in LINES), reverse=True)
    (strongest, line), (next_strongest, _) = found[:2]
    if strongest >= limit and strongest >= _CLEAR_LEAD * next_strongest and (not looked_at or line == LINES[-1]):
        return "bearing", FAULT_OF_LINE[line]
    return "machine", "degradation"


def evidence(
    channels: Mapping[str, ChannelBaseline], units: Mapping[str, Mapping[str, str]], limit: float
) -> tuple[Evidence, ...]:
    """Return the features that deviate most, strongest first; `units` by channel and feature."""
    figures = [(name, figure) for name, c in channels.items() for figure in c.figures(limit)]
    figures.sort(key=lambda f: -f[1].z)
    return tuple(
        Evidence(
            feature=figure.feature,
            channel=name,
            unit=units.get(name, {}).get(figure.feature, ""),
            value=figure.value,
            baseline=figure.baseline,
            limit=figure.limit,
        )
        for name, figure in figures[:_MOST_EVIDENCE]
    )


def confidence(*, baseline_level: int, model_level: int, named: bool, physics: str = "") -> str:
    """Return a word: sure when two independent judges agree, quite sure on clear or named damage, unsure otherwise.

    `physics` is the word of a part named from its lines, "" without one.
    """
    if (baseline_level and model_level) or physics == "sure":
        return "sure"
    return "quite_sure" if max(baseline_level, model_level) > 1 or named else "unsure"
