"""The page as text: one document, nothing from elsewhere; every name is escaped. Pure.

It works on a phone of 360 px, on paper and without colours. A small script fetches it again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from edge import words
from edge.board.board import Board, Shown
from edge.board.history import Minute
from edge.detection.detector import BASELINE
from edge.types import SENSOR, Alarm

_WIDTH, _HEIGHT, _COLUMNS = 320, 72, 320
_MOST_ROWS = 24  # of the trend's table
_LEARNING = "Its healthy start is still being learned."

STYLE = """
:root{color-scheme:light dark;--paper:#f5f4f0;--card:#fffefc;--ink:#1b1f23;--quiet:#555c63;--line:#d5d2ca;--c:#8a4300;--d:#a52308}
@media (prefers-color-scheme:dark){:root{--paper:#111416;--card:#191d20;--ink:#eceff1;--quiet:#a8b0b7;--line:#343b41;--c:#ffb76b;--d:#ff8f74}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:720px;padding:12px;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.3rem;margin:0}h2{font-size:1.1rem;margin:0}h3{font-size:1rem;margin:12px 0 0}p{margin:4px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px;margin:12px 0}
.quiet{color:var(--quiet);font-size:.9rem}.zone{font-weight:700}.zone-C{color:var(--c)}.zone-D{color:var(--d)}
table{border-collapse:collapse;width:100%;font-size:.875rem}th,td{text-align:left;padding:4px 6px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
svg{display:block;width:100%;height:72px;margin-top:8px}svg .trend{fill:none;stroke:currentColor;stroke-width:1.5}svg .limit{stroke:var(--c);stroke-dasharray:4 3}
summary{min-height:48px;display:flex;align-items:center;cursor:pointer;text-decoration:underline}
"""  # noqa: E501 - a style sheet
SCRIPT = """
"use strict";
const every = 15000;
async function refresh() {
  try {
    const answer = await fetch("/", { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = [...document.querySelectorAll("details")].map((d) => d.open);
    fresh.querySelectorAll("details").forEach((d, i) => { d.open = open[i] === true; });
    document.title = fresh.title;
    for (const part of ["header", "main"]) document.querySelector(part).replaceWith(fresh.querySelector(part));
  } catch {
    document.getElementById("lost").textContent = "No connection: what you see may be old.";
  }
  setTimeout(refresh, every);
}
setTimeout(refresh, every);
"""


def render(board: Board, now_ns: int) -> str:
    """The whole page; `now_ns` is the device's clock."""
    machines = board.shown()
    need = sum(m.zone in "CD" for m in machines)
    said = f"{need} of {len(machines)} {'machine' if len(machines) == 1 else 'machines'} need{'s' * (need == 1)} action"
    cards = "".join(_machine(m) for m in machines)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(board.device)}: {said}</title>"
        '<link rel="stylesheet" href="/style.css"><script src="/live.js" defer></script></head><body><header>'
        f"<h1>{escape(board.device)} \N{MIDDLE DOT} {escape(board.site)}</h1>"
        f'<p>{said}</p><p id="lost" role="status"></p>'
        f'<p class="quiet">As this device sees it, {_clock(now_ns)}. All times are UTC.</p></header>'
        f"<main>{cards or '<p>No machine.</p>'}</main></body></html>"
    )


def _machine(m: Shown) -> str:
    line = f' <span class="quiet">{escape(m.machine.line)}</span>' if m.machine.line else ""
    simulated = '<p class="quiet">This machine is simulated.</p>' if m.machine.simulated else ""
    alarms = "".join(_alarm(a) for a in m.alarms) or '<p class="quiet">No open alarm.</p>'
    return (
        f'<section class="card"><h2>{escape(m.machine.name)}{line}</h2>{_badges(m)}{simulated}'
        f"{_now(m)}{alarms}{_trend(m.trend, m.limit)}</section>"
    )


def _badges(m: Shown) -> str:
    badges = [_badge(words.ZONES[m.zone])]
    if m.sensor_fault:
        badges.append(_badge(words.SENSOR_FAULT))
    if m.clock_suspect:
        badges.append(_badge(words.CLOCK))
    if m.stale:
        badges.append(_badge(words.STALE))
    return f"<p>{' '.join(badges)}</p>"


def _badge(zone: words.Zone) -> str:
    letter = f"{zone.letter} " if zone.letter else ""
    return f'<span class="zone zone-{zone.letter}">{zone.shape} {letter}{escape(zone.word)}</span>'


def _now(m: Shown) -> str:
    if m.time_ns is None:
        return '<p class="quiet">No window yet since this device started.</p>'
    life = ""
    if m.remaining_life_s:
        life = f" {_life(m.remaining_life_s)}"
    elif m.no_estimate_reason:
        life = f" {words.no_estimate(m.no_estimate_reason)}"
    now = f"Deviation from its healthy start {max(m.deviation, 0.0):.1f}{_limit(m)}." if m.deviation else _LEARNING
    return f'<p class="quiet">Last window {_clock(m.time_ns)}, taken {words.duration(m.age_s)} ago. {now}{life}</p>'


def _limit(m: Shown) -> str:
    return f"; work is due from {m.limit:.1f}" if math.isfinite(m.limit) else ""


def _life(life_s: tuple[float, float, float]) -> str:
    low, _, high = life_s
    return f"Remaining life likely {words.duration(low)} to {words.duration(high)}."


def _alarm(a: Alarm) -> str:
    zone = words.ZONES[a.severity]
    said = words.told(a.fault, by_baseline=a.source == BASELINE)
    sensor = a.part == SENSOR
    life = (
        _life(a.remaining_life_s) if a.remaining_life_s else "" if sensor else words.no_estimate(a.no_estimate_reason)
    )
    channel = f", by the sensor {escape(a.channel)}" if a.channel else ""
    rows = "".join(
        f'<tr><td>{escape(words.feature(e.feature))}<br><span class="quiet">{escape(e.channel)}</span></td>'
        f"<td>{_figure(e.value)} {escape(_unit(e.unit))}</td>"
        f"<td>{_figure(e.baseline)}</td><td>{_figure(e.limit)}</td></tr>"
        for e in a.evidence
    )
    why = (
        '<table><thead><tr><th scope="col">Why</th><th scope="col">Now</th><th scope="col">Healthy</th>'
        f'<th scope="col">Limit</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    return (
        f"<article><h3>{_badge(words.SENSOR_FAULT if sensor else zone)}: {said.sentence}</h3>"
        f"<p>{escape(words.confidence(a.confidence))}{channel}. {life}</p><p><b>Do this:</b> {said.do}</p>"
        f"<p><b>It would be wrong if</b> {said.disprove}.</p>"
        f'<p class="quiet">{a.change.name.capitalize()} {_clock(a.time_ns)}{_judged(a)}.</p>'
        f"{why if rows else ''}</article>"
    )


def _judged(a: Alarm) -> str:
    """By what, with its figure; a sensor's fault has none that says more."""
    if a.part == SENSOR:
        return ""
    by = "deviation from its healthy start" if a.source == BASELINE else f"by the model {escape(a.source)}"
    return f"; {by} {_figure(a.score)}, limit {_figure(a.threshold)}"


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


# --- the last days ----------------------------------------------------------------------------------------------------


def _trend(minutes: Sequence[Minute], limit: float) -> str:
    """The deviation as a line below its limit and, folded away, as a table, with one sentence that says it all."""
    if len(minutes) < 2:
        return ""
    first, last = minutes[0].time_ns, minutes[-1].time_ns
    worst = max(minutes, key=lambda m: _finite(m.deviation))
    said = (
        f"Deviation over {words.duration((last - first) * 1e-9)}: highest {_figure(worst.deviation)} at "
        f"{_clock(worst.time_ns)}, now {_figure(minutes[-1].deviation)}."
    )
    top = max(_finite(worst.deviation), 1.25 * limit if math.isfinite(limit) else 0.0) or 1.0
    dashed = f'<path class="limit" d="M0 {_y(limit, top):.1f}H{_WIDTH}"/>' if math.isfinite(limit) else ""
    key = '<p class="quiet">Dashed: from here on work is due.</p>' if dashed else ""
    rows = "".join(
        f"<tr><td>{_clock(m.time_ns)}</td><td>{_figure(m.deviation)}</td><td>{m.zone}</td></tr>"
        for m in _thinned(minutes, _MOST_ROWS)
    )
    return (
        f'<p>{said}</p><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(said)}">{dashed}<path class="trend" d="{_path(minutes, top)}"/></svg>{key}'
        '<details><summary>The trend as a table</summary><table><thead><tr><th scope="col">Time</th>'
        f'<th scope="col">Deviation</th><th scope="col">Zone</th></tr></thead><tbody>{rows}</tbody></table></details>'
    )


def _thinned(minutes: Sequence[Minute], count: int) -> list[Minute]:
    """At most `count` equal stretches of time, each by its worst minute."""
    first, last = minutes[0].time_ns, minutes[-1].time_ns
    width = max((last - first) // count + 1, 1)
    found: dict[int, Minute] = {}
    for minute in minutes:
        at = (minute.time_ns - first) // width
        if at not in found or _finite(minute.deviation) > _finite(found[at].deviation):
            found[at] = minute
    return [found[at] for at in sorted(found)]


def _y(deviation: float, top: float) -> float:
    return _HEIGHT - 2 - max(_finite(deviation), 0.0) / top * (_HEIGHT - 4)


def _path(minutes: Sequence[Minute], top: float) -> str:
    """A line; it breaks where more than ten minutes, or three columns, are missing."""
    first, last = minutes[0].time_ns, minutes[-1].time_ns
    span = max(last - first, 1)
    gap = max(600_000_000_000, 3 * span // _COLUMNS)
    parts, before = [], None
    for m in _thinned(minutes, _COLUMNS):
        x = (m.time_ns - first) / span * _WIDTH
        joined = before is not None and m.time_ns - before <= gap
        parts.append(f"{'L' if joined else 'M'}{x:.1f} {_y(m.deviation, top):.1f}")
        before = m.time_ns
    return "".join(parts)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _figure(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "\N{EN DASH}"


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns * 1e-9, UTC).strftime("%Y-%m-%d %H:%M")
