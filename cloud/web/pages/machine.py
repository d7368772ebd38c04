"""`/m/{machine}`: one machine; its charts fetch `/data/trend` and `/data/spectrum`, its tables are in the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from cloud.alerts.types import Alert, State
from cloud.catalogue import fleet
from cloud.catalogue.access import reading
from cloud.catalogue.fleet import LatestRow, MachineRow
from cloud.web.drawing import BINS, EMPTY, Bands, interval_bar, level_bar
from cloud.web.history import Point, Spectrum
from cloud.web.site import Site
from cloud.web.status import Status, judge
from models.features import CATALOGUE
from models.manifest import Manifest, Thresholds

RANGES = {"1h": 3600, "8h": 8 * 3600, "1d": 86_400, "7d": 7 * 86_400, "all": None}
DEFAULT_RANGE = "8h"
_TABLE_ROWS = 24
_SPECTRUM_ROWS = 12
_PREFERRED = (":degradation@1", ":deviation@1")


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that can be drawn: `key` is `channel:feature`, as in the URL."""

    channel: str
    feature: str
    unit: str

    @property
    def key(self) -> str:
        """The name in the URL."""
        return f"{self.channel}:{self.feature}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the reader chose to see, resolved against what there is."""

    machine: MachineRow
    metrics: list[Metric]
    metric: Metric | None
    range: str
    newest_ns: int | None

    @property
    def since_ns(self) -> int | None:
        """The beginning of the range in the machine's own time base; None is everything."""
        seconds = RANGES[self.range]
        if seconds is None or self.newest_ns is None:
            return None
        return self.newest_ns - int(seconds * 1e9)


def router(site: Site) -> APIRouter:
    """Build the page's routes."""
    routes = APIRouter()

    @routes.get("/m/{name:path}", response_class=HTMLResponse)
    def show(
        request: Request, name: str, metric: str = "", range: str = "", at: str = "", channel: str = ""
    ) -> HTMLResponse:
        """Return the page of one machine; `at` is its site where several sites have the name."""
        found = _find(site, name, at)
        if not found:
            return site.answer(request, "error.html", status=404, error="not_found", detail=name)
        if len(found) > 1:
            return site.answer(request, "choose_site.html", status=300, machines=found)
        chosen, status, values = _choose(site, found[0], metric, range)
        alerts = site.book.list(states=None, site=chosen.machine.site, machine=name, limit=20)
        trend = _trend(site, chosen)
        waveforms = [c.name for c in chosen.machine.channels if c.kind == "waveform"]
        channel = channel if channel in waveforms else (waveforms[0] if waveforms else "")
        spectrum = _spectrum(site, chosen, channel)
        with reading(site.engine) as c:
            devices = {(d.site, d.device): d for d in fleet.devices(c, site.enterprise)}
        model = _manifest(site, status.source)
        return site.answer(
            request,
            "machine.html",
            status=200,
            s=status,
            chosen=chosen,
            ranges=list(RANGES),
            trend=trend,
            trend_rows=_rows(trend),
            spectrum=spectrum,
            spectrum_rows=_peaks(spectrum),
            spectrum_unit=_unit(chosen.machine, channel),
            channel=channel,
            waveforms=waveforms,
            alerts=alerts,
            device=devices.get((chosen.machine.site, chosen.machine.device)),
            values=values,
            interval=interval_bar(*status.life.interval_s) if status.life.interval_s else None,
            level=_level(status, model.thresholds if model else None),
            coverage=model.coverage if model else "",
        )

    @routes.get("/data/trend")
    def trend(name: str, metric: str = "", range: str = "", at: str = "", bins: int = BINS[-1]) -> JSONResponse:
        """Return what the trend chart draws: times (s), lowest, mean and highest values, limits, alert marks."""
        found = _find(site, name, at)
        if not found:
            return JSONResponse({"error": "not_found"}, 404)
        chosen, status, _ = _choose(site, found[0], metric, range)
        bins = next((b for b in BINS if b >= bins), BINS[-1])
        shown = _trend(site, chosen, bins)
        alerts = site.book.list(states=None, site=chosen.machine.site, machine=name, limit=50)
        return JSONResponse(
            {
                **shown.as_json(),
                "thinned": shown.thinned,
                "unit": chosen.metric.unit if chosen.metric else "",
                "limits": _limits(chosen, _manifest(site, status.source), alerts),
                "alerts": _marks(alerts, shown),
            }
        )

    @routes.get("/data/spectrum")
    def spectrum(name: str, channel: str, at: str = "") -> JSONResponse:
        """Return what the spectrum chart draws: lines (Hz), amplitudes (channel's unit, RMS)."""
        found = _find(site, name, at)
        if not found:
            return JSONResponse({"error": "not_found"}, 404)
        chosen, _, _ = _choose(site, found[0], "", "")
        shown = _spectrum(site, chosen, channel)
        if shown is None:
            return JSONResponse({"frequency_hz": [], "amplitude": [], "unit": ""})
        lines = (np.arange(len(shown.amplitude)) * shown.step_hz).round(3).tolist()
        amplitude = [float(f"{v:.5g}") for v in shown.amplitude]
        return JSONResponse(
            {"frequency_hz": lines, "amplitude": amplitude, "unit": _unit(chosen.machine, channel)},
        )

    return routes


def _find(site: Site, name: str, at: str) -> list[MachineRow]:
    with reading(site.engine) as c:
        found = fleet.machines(c, site.enterprise, name=name)
    return [m for m in found if not at or m.site == at]


def _choose(site: Site, machine: MachineRow, metric: str, range_: str) -> tuple[Chosen, Status, list[LatestRow]]:
    key = (machine.site, machine.machine)
    with reading(site.engine) as c:
        found = fleet.latest_values(c, site.enterprise, site=machine.site, name=machine.machine)
    values = found.get(key, [])
    received = max((v.received_ns for v in values), default=None)
    open_alerts = [
        a
        for a in site.book.list(states=None, site=machine.site, machine=machine.machine)
        if a.state is not State.RESOLVED
    ]
    status = judge(machine, values, open_alerts, received, site.clock())
    metrics = [
        Metric(v.channel, v.metric, unit_of(machine, v.channel, v.metric))
        for v in values
        if v.metric in CATALOGUE and not v.metric.startswith("rul_p05") and not v.metric.startswith("rul_p95")
    ]
    by_key = {m.key: m for m in metrics}
    wanted = next((by_key[k] for k in (metric, *_PREFERRED) if k in by_key), metrics[0] if metrics else None)
    newest = max((v.event_time_ns for v in values), default=None)
    chosen = Chosen(machine, metrics, wanted, range_ if range_ in RANGES else DEFAULT_RANGE, newest)
    return chosen, status, values


def unit_of(machine: MachineRow, channel: str, feature: str) -> str:
    """Return a feature's unit; `=` in the catalogue stands for the channel's own, `1` for none."""
    unit = CATALOGUE[feature].unit.replace("=", _unit(machine, channel))
    return "" if unit == "1" else unit


def _unit(machine: MachineRow, channel: str) -> str:
    return next((c.unit for c in machine.channels if c.name == channel), "")


def _trend(site: Site, chosen: Chosen, bins: int = BINS[-1]) -> Bands:
    m, metric = chosen.machine, chosen.metric
    if metric is None:
        return EMPTY.bands(bins)
    where = Point(m.site, m.machine, metric.channel)
    return site.histories.trend(where, metric.feature, chosen.since_ns, bins=bins)


def _spectrum(site: Site, chosen: Chosen, channel: str) -> Spectrum | None:
    m = chosen.machine
    if not channel or chosen.newest_ns is None:
        return None
    return site.histories.spectrum(Point(m.site, m.machine, channel), chosen.newest_ns)


def _rows(trend: Bands) -> list[tuple[int, float, float]]:
    """Return the chart as a short table: (begin in ns, lowest, highest) of equally many values each."""
    parts = np.array_split(np.arange(len(trend.time_s)), min(_TABLE_ROWS, max(len(trend.time_s), 1)))
    return [
        (int(trend.time_s[p[0]] * 1e9), float(trend.low[p].min()), float(trend.high[p].max()))
        for p in reversed(parts)
        if len(p)
    ]


def _peaks(spectrum: Spectrum | None) -> list[tuple[float, float]]:
    """Return the highest lines (Hz, amplitude) that are higher than both neighbours, the highest first."""
    if spectrum is None or len(spectrum.amplitude) < 3:
        return []
    a = spectrum.amplitude
    tops = np.flatnonzero((a[1:-1] >= a[:-2]) & (a[1:-1] > a[2:])) + 1
    best = tops[np.argsort(a[tops])[::-1][:_SPECTRUM_ROWS]]
    return [(float(i * spectrum.step_hz), float(a[i])) for i in best]


def _manifest(site: Site, bundle: str) -> Manifest | None:
    if not bundle:
        return None
    with reading(site.engine) as c:
        found = [b.manifest for b in fleet.bundles(c, site.enterprise) if b.name == bundle]
    return found[0] if found else None


def _level(status: Status, limits: Thresholds | None) -> object:
    if status.degradation is None:
        return None
    marks = ((limits.warn, "mark-c"), (limits.act, "mark-d")) if limits else ()
    return level_bar(status.degradation, marks)


def _limits(chosen: Chosen, model: Manifest | None, alerts: list[Alert]) -> list[dict[str, object]]:
    """Return the lines across the chart: the model's zones, or what the newest alert compared this figure with."""
    metric = chosen.metric
    if metric is None:
        return []
    if metric.feature == "degradation@1" and model:
        zones = (("limit_c", model.thresholds.warn), ("limit_d", model.thresholds.act))
        return [{"value": value, "kind": kind} for kind, value in zones]
    for alert in alerts:
        said = alert.said
        if metric.feature == "deviation@1" and said.source == "baseline" and said.threshold and said.severity in "CD":
            return [{"value": said.threshold, "kind": f"limit_{said.severity.lower()}"}]
        for e in said.evidence:
            if e.feature == metric.feature and e.channel in {metric.channel, ""}:
                lines = [("healthy", e.baseline), ("limit", e.limit)]
                return [{"value": value, "kind": kind} for kind, value in lines if value is not None]
    return []


def _marks(alerts: list[Alert], shown: Bands) -> list[dict[str, object]]:
    if not len(shown.time_s):
        return []
    inside = [a for a in alerts if shown.time_s[0] <= a.raised_ns / 1e9 <= shown.time_s[-1]]
    return [{"time_s": a.raised_ns / 1e9, "severity": a.severity, "id": a.id} for a in inside]
