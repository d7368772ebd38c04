"""Turns rows into what a small screen can show: thinned series, heartbeats, bars. Pure: numbers in, SVG out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

Array = NDArray[np.float64]
BINS = (120, 250, 500)  # a chart has one of these: at most 1000 lowest and highest values
_LOUDEST = 50.0  # deviation at the top of a heartbeat
_GAP = 6.0  # a hole this many times the usual spacing is drawn as a hole


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time, sorted; `time_s` is seconds since 1970, both (n,)."""

    time_s: Array
    value: Array

    def bands(self, bins: int) -> Bands:
        """Return at most `bins` equally long parts with the lowest, the mean and the highest value of each.

        A short series keeps its values as they are: then lowest, mean and highest are one.
        """
        n = len(self.time_s)
        if n <= bins:
            return Bands(self.time_s, self.value, self.value, self.value, self.value)
        start = self.time_s[0]
        span = (self.time_s[-1] - start) or 1.0
        part = np.minimum(((self.time_s - start) / span * bins).astype(int), bins - 1)
        edges = np.concatenate([[0], np.flatnonzero(np.diff(part)) + 1])
        counts = np.diff(np.append(edges, n))
        return Bands(
            np.add.reduceat(self.time_s - start, edges) / counts + start,
            np.minimum.reduceat(self.value, edges),
            np.add.reduceat(self.value, edges) / counts,
            np.maximum.reduceat(self.value, edges),
            self.value,
        )


@dataclass(frozen=True, slots=True)
class Bands:
    """A series as a chart shows it, each (m,); `value` are all n values it was made from."""

    time_s: Array
    low: Array
    middle: Array
    high: Array
    value: Array

    @property
    def thinned(self) -> bool:
        """Whether a part stands for several values."""
        return len(self.value) > len(self.time_s)

    def as_json(self) -> dict[str, list[float | None]]:
        """Return the columns of the chart; None is put where data is missing, so that no line bridges it."""
        spacing = np.diff(self.time_s)
        usual = float(np.median(spacing)) if len(spacing) else 0.0
        holes = np.flatnonzero(spacing > _GAP * usual) + 1 if usual > 0 else np.array([], int)
        columns = {"time_s": np.insert(self.time_s, holes, self.time_s[holes - 1] + usual)}
        for name, values in (("low", self.low), ("middle", self.middle), ("high", self.high)):
            columns[name] = np.insert(values, holes, np.nan)
        return {
            name: [None if np.isnan(v) else float(f"{v:.14g}" if name == "time_s" else f"{v:.6g}") for v in values]
            for name, values in columns.items()
        }


NOTHING = np.array([], float)
EMPTY = Series(NOTHING, NOTHING)


def series(time_ns: NDArray[np.int64], value: Array) -> Series:
    """Sort by time and leave out what is not finite."""
    good = np.isfinite(value)
    order = np.argsort(time_ns[good], kind="stable")
    return Series(time_ns[good][order] / 1e9, value[good][order])


def heartbeat(values: Array, *, width: int = 132, height: int = 34, bins: int = 44) -> Markup:
    """Draw deviations (robust z, any number >= 1 of them) as a small line; its scale is the same for every machine.

    The scale is logarithmic from 0 to 50, so that a healthy machine's breathing and a failure both show.
    """
    parts = np.array_split(values, min(bins, len(values)))
    level = np.log1p(np.clip([p.max() for p in parts], 0, _LOUDEST)) / np.log1p(_LOUDEST)
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


def waveform(values: Array, *, width: int = 640, height: int = 160, bins: int = 320) -> Markup:
    """Draw samples (n,), n >= 1, around 0: at most `bins` parts, each from its lowest to its highest value."""
    parts = np.array_split(values, min(bins, len(values)))
    top = max(float(np.abs(values).max()), np.finfo(float).tiny)
    step = width / len(parts)
    strokes = " ".join(
        f"M{(i + 0.5) * step:.1f},{_level(p.max(), top, height):.1f}V{_level(p.min(), top, height) + 1:.1f}"
        for i, p in enumerate(parts)
    )
    return Markup(
        '<svg class="waveform" viewBox="0 0 {w} {h}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<path class="waveform-axis" d="M0,{m}H{w}"/><path class="waveform-line" d="{d}"/></svg>'
    ).format(w=width, h=height, m=height / 2, d=strokes)


def _level(value: float, top: float, height: int) -> float:
    return height / 2 - value / top * (height / 2 - 2)
