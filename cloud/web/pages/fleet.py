"""`/`: which machines need somebody, then all the others, each with its heartbeat."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from cloud.alerts.types import Alert
from cloud.catalogue import fleet
from cloud.catalogue.access import reading
from cloud.web.drawing import heartbeat
from cloud.web.site import Site
from cloud.web.status import NEEDS_ACTION, URGENCY, Status, Zone, judge

PER_PAGE = 40
_MOST_OPEN_ALERTS = 2000  # beyond that, the newest ones decide


def statuses(site: Site) -> list[Status]:
    """Return every machine's status, the most urgent first."""
    now = site.clock()
    with reading(site.engine) as c:
        machines = fleet.machines(c, site.enterprise)
        values = fleet.latest_values(c, site.enterprise, metrics=fleet.SUMMARY_METRICS)
        received = fleet.last_received(c, site.enterprise)
    alerts: dict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in site.book.list(limit=_MOST_OPEN_ALERTS):
        alerts[alert.site, alert.machine].append(alert)
    found = []
    for machine in machines:
        key = (machine.site, machine.machine)
        found.append(judge(machine, values.get(key, []), alerts[key], received.get(key), now))
    return sorted(found, key=lambda s: (URGENCY.index(s.zone), s.machine.machine, s.machine.site))


def router(site: Site) -> APIRouter:
    """Build the page's routes."""
    routes = APIRouter()

    @routes.get("/", response_class=HTMLResponse)
    def show(request: Request, q: str = "", area: str = "", only: str = "", page: int = 1) -> HTMLResponse:
        """Return the fleet, filtered."""
        everything = statuses(site)
        wanted = [s for s in everything if _matches(s, q.strip().lower(), area, only)]
        pages = max(1, -(-len(wanted) // PER_PAGE))
        page = min(max(page, 1), pages)
        rows = wanted[(page - 1) * PER_PAGE : page * PER_PAGE]
        return site.answer(
            request,
            "fleet.html",
            counts=_counts(everything),
            areas=sorted({s.machine.line for s in everything if s.machine.line}),
            several_sites=len({s.machine.site for s in everything}) > 1,
            rows=rows,
            beats=_beats(site, rows),
            total=len(everything),
            q=q,
            area=area,
            only=only,
            number=page,
            pages=pages,
        )

    return routes


def _matches(status: Status, text: str, area: str, only: str) -> bool:
    m = status.machine
    if area and m.line != area:
        return False
    if only == "problems" and status.zone in {Zone.A, Zone.B}:
        return False
    if only == "action" and status.zone not in NEEDS_ACTION:
        return False
    if only == "stale" and status.zone is not Zone.STALE:
        return False
    return text in f"{m.machine} {m.line} {m.machine_class} {m.site} {m.device}".lower()


def _counts(everything: list[Status]) -> dict[str, int]:
    zones = Counter(s.zone for s in everything)
    action = sum(zones[z] for z in NEEDS_ACTION)
    return {"action": action, "stale": zones[Zone.STALE], "ok": zones[Zone.A] + zones[Zone.B]}


def _beats(site: Site, rows: list[Status]) -> dict[tuple[str, str], tuple[Markup, dict[str, float]]]:
    newest = [(s.machine.site, s.machine.machine, s.event_time_ns) for s in rows if s.event_time_ns is not None]
    return {
        key: (heartbeat(v), {"first": float(v[0]), "last": float(v[-1]), "highest": float(np.max(v))})
        for key, v in site.histories.heartbeats(newest).items()
    }
