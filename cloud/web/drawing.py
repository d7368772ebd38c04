"""Turns rows into what a small screen can show: thinned series, heartbeats, bars. Pure: numbers in, SVG out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST_POINTS = 1000  # more than a phone has pixels
_GAP = 6.0  # a hole this many times the usual spacing is drawn as a hole


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time, sorted; `time_s` is seconds since 1970, both (n,). `rows` is n before thinning."""

    time_s: Array
    value: Array
    rows: int

    def thinned(self, points: int = MOST_POINTS) -> Series:
        """Return at most `points` values: of each of equally long bins the lowest and the highest, in their order."""
        if len(self.time_s) <= points:
            return self
        start, stop = self.time_s[0], self.time_s[-1]
        bins = points // 2
        index = np.minimum(((self.time_s - start) / (stop - start) * bins).astype(int), bins - 1)
        edges = np.flatnonzero(np.diff(index)) + 1
        keep: set[int] = set()
        for first, last in zip([0, *edges], [*edges, len(index)], strict=True):
            part = self.value[first:last]
            keep |= {int(first + part.argmin()), int(first + part.argmax())}
        kept = sorted(keep)
        return Series(self.time_s[kept], self.value[kept], self.rows)

    def with_holes(self) -> tuple[list[float], list[float | None]]:
        """Return times and values as JSON has them; None is put where data is missing, so that no line bridges it."""
        spacing = np.diff(self.time_s)
        usual = float(np.median(spacing)) if len(spacing) else 0.0
        times: list[float] = []
        values: list[float | None] = []
        for i, (t, v) in enumerate(zip(self.time_s.tolist(), self.value.tolist(), strict=True)):
            if i and usual > 0 and spacing[i - 1] > _GAP * usual:
                times.append(t - usual)
                values.append(None)
            times.append(t)
            values.append(v)
        return times, values


EMPTY = Series(np.array([]), np.array([]), 0)


def series(time_ns: NDArray[np.int64], value: Array) -> Series:
    """Sort by time and leave out what is not finite."""
    good = np.isfinite(value)
    order = np.argsort(time_ns[good], kind="stable")
    return Series(time_ns[good][order] / 1e9, value[good][order], int(good.sum()))


def heartbeat(values: Array, *, width: int = 132, height: int = 30, bins: int = 44) -> Markup:
    """Draw deviations (robust z, any number >= 1 of them) as a small line; its scale is the same for every machine.

    The scale is logarithmic from 0 to 100, so that a healthy machine's breathing and a failure both show.
    """
    parts = np.array_split(values, min(bins, len(values)))
    level = np.log1p(np.clip([p.max() for p in parts], 0, 100)) / np.log1p(100)
    x = np.linspace(1.5, width - 3.5, len(level)) if len(level) > 1 else np.array([width - 3.5])
    y = height - 3 - level * (height - 6)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    area = f"{x[0]:.1f},{height} {points} {x[-1]:.1f},{height}"
    return Markup(
        '<svg class="heartbeat" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true" focusable="false">'
        '<polygon class="heartbeat-area" points="{area}"/><polyline class="heartbeat-line" points="{points}"/>'
        '<circle class="heartbeat-now" cx="{x}" cy="{y}" r="2.5"/></svg>'
    ).format(w=width, h=height, area=area, points=points, x=f"{x[-1]:.1f}", y=f"{y[-1]:.1f}")


def interval_bar(low: float, middle: float, high: float, *, width: int = 320) -> Markup:
    """Draw an interval (three lengths of time, any unit) on an axis that begins at 0."""
    scale = (width - 2) / (high * 1.08) if high > 0 else 0.0
    a, m, b = (1 + v * scale for v in (low, middle, high))
    return Markup(
        '<svg class="interval" viewBox="0 0 {w} 20" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="interval-axis" x="0" y="9" width="{w}" height="2" rx="1"/>'
        '<rect class="interval-band" x="{a}" y="5" width="{l}" height="10" rx="2"/>'
        '<rect class="interval-middle" x="{m}" y="2" width="3" height="16" rx="1"/></svg>'
    ).format(w=width, a=f"{a:.1f}", l=f"{max(b - a, 2):.1f}", m=f"{m:.1f}")


def level_bar(value: float, marks: tuple[tuple[float, str], ...] = (), *, width: int = 320) -> Markup:
    """Draw a share from 0 to 1 as a bar, with marks (position, CSS class) at limits."""
    filled = min(max(value, 0.0), 1.0) * width
    ticks = Markup("").join(
        Markup('<rect class="{c}" x="{x}" y="1" width="2" height="18"/>').format(c=c, x=f"{p * width - 1:.1f}")
        for p, c in marks
    )
    return Markup(
        '<svg class="level" viewBox="0 0 {w} 20" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="level-axis" x="0" y="6" width="{w}" height="8" rx="4"/>'
        '<rect class="level-value" x="0" y="6" width="{v}" height="8" rx="4"/>{ticks}</svg>'
    ).format(w=width, v=f"{filled:.1f}", ticks=ticks)
