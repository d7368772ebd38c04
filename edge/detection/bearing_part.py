"""Which part of a bearing is damaged, by physics alone: no training, no healthy start, one setting for all machines.

The rule: the most prominent line of the best channel is named when it stands out by NAMED_FROM, and neither the next
line of that channel nor any rate that is no line of this bearing reaches more than NEXT_AT_MOST of it. Else the answer
is an abstention with its reason. Settings and how they were chosen: docs/decisions/0007-bearing-parts-by-physics.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.features.envelope_diagnosis import HARMONICS, SLIP, FoundLine, found_lines
from edge.types import Bearing, Evidence, FeatureRow, FloatArray
from models.features import DIAGNOSED

FAULT_OF_LINE = {"bpfo": "outer_race", "bpfi": "inner_race", "bsf": "ball"}
NAMED_FROM = 1.1  # three times the floor; the most of 810 records of white noise was 0.97, of 4 healthy ones 0.81
SURE_FROM = 2.2
NEXT_AT_MOST = 0.6
SIDEBANDS_FROM = 0.6  # the most of 800 records of white noise was 0.56, the least of 22 damaged inner rings 0.58
QUIET_BELOW = 0.8  # nothing stands out: as the most prominent lines of healthy records
TOO_SHORT, NO_LINE, AMBIGUOUS, OTHER_RATE = "too_short", "no_line", "ambiguous", "other_rate"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the lines say; `fault` None is an abstention for `reason`."""

    fault: str | None
    channel: str = ""
    confidence: str = "unsure"
    reason: str = ""
    lines: tuple[FoundLine, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether there were samples enough and no line stands out: as far as physics goes, nothing is struck."""
        return self.reason == NO_LINE and max(f.prominence for f in self.lines) < QUIET_BELOW

    def evidence(self) -> tuple[Evidence, ...]:
        """The prominence of each line, then the named one's sidebands and its frequency beside the expected one."""
        if self.fault is None:
            return ()
        named = self._by_prominence()[0]
        where = Evidence(
            feature=f"frequency_{named.line}@1",
            channel=self.channel,
            unit="Hz",
            value=named.found_hz,
            baseline=named.expected_hz,
            limit=named.expected_hz * (1.0 + SLIP),
        )
        prominent = (self._figure("prominence", f.line, f.prominence, NAMED_FROM) for f in self._by_prominence())
        if named.sidebands is None:
            return (*prominent, where)
        return (*prominent, self._figure("sideband", named.line, named.sidebands, SIDEBANDS_FROM), where)

    def _by_prominence(self) -> list[FoundLine]:
        return sorted(self.lines, key=lambda f: -f.prominence)

    def _figure(self, feature: str, line: str, value: float, limit: float) -> Evidence:
        return Evidence(
            feature=f"{feature}_{line}@1", channel=self.channel, unit="1", value=value, baseline=0.0, limit=limit
        )


def decide(channels: Mapping[str, Sequence[FoundLine]]) -> Verdict:
    """The verdict on a machine from the lines of its channels, by name; the channel with the clearest line speaks."""
    if not channels:
        return Verdict(None, reason=TOO_SHORT)
    name, lines = max(channels.items(), key=lambda c: max(f.prominence for f in c[1]))
    first, second, *_ = sorted(lines, key=lambda f: -f.prominence)
    if first.prominence < NAMED_FROM:
        return Verdict(None, name, reason=NO_LINE, lines=tuple(lines))
    if second.prominence > NEXT_AT_MOST * first.prominence:
        return Verdict(None, name, reason=AMBIGUOUS, lines=tuple(lines))
    if first.rival > NEXT_AT_MOST * first.prominence:
        return Verdict(None, name, reason=OTHER_RATE, lines=tuple(lines))
    word = "sure" if first.prominence >= SURE_FROM else "quite_sure"
    return Verdict(FAULT_OF_LINE[first.line], name, word, lines=tuple(lines))


def diagnose(
    stretches: Mapping[str, tuple[float, Sequence[FloatArray]]], bearing: Bearing, speed_rpm: float
) -> Verdict:
    """The verdict on the unbroken stretches of each channel, given with its rate in Hz."""
    found = {n: found_lines(s, rate_hz, bearing, speed_rpm) for n, (rate_hz, s) in stretches.items()}
    return decide({n: lines for n, lines in found.items() if lines is not None})


def of_rows(rows: Sequence[FeatureRow]) -> Verdict:
    """The verdict that a window's rows lead to, where they have the lines (`models.features.DIAGNOSED`)."""
    channels = {}
    for row in rows:
        if DIAGNOSED[0].id in row.schema.columns:
            named = dict(zip(row.schema.columns, row.values.tolist(), strict=True))
            channels[row.channel] = [
                FoundLine(line, math.nan, math.nan, named[f"prominence_{line}@1"], named[f"rival_{line}@1"])
                for line in HARMONICS
            ]
    return decide(channels)
