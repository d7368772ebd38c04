"""`/models`: what was learned, how good it is beside simple answers, and which agent runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from cloud.catalogue import fleet
from cloud.catalogue.access import reading
from cloud.web.site import Site

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation as a table: `floors` are the other columns' names, each row (measure, ours, floor by floor)."""

    floors: list[str]
    rows: list[tuple[str, Any, list[Any]]]


def tabulate(evaluation: Mapping[str, Any]) -> Evaluation:
    """Return measures beside their floors; a measure is a figure, or a mapping with `ours` and one key a floor."""
    rows = [(name, value) for name, value in evaluation.items() if isinstance(value, (Mapping, int, float, str))]
    floors: list[str] = []
    for _, value in rows:
        if isinstance(value, Mapping):
            floors += [k for k in value if k != OURS and k not in floors and not isinstance(value[k], Mapping)]
    table = []
    for name, value in rows:
        cells = value if isinstance(value, Mapping) else {OURS: value}
        table.append((name, cells.get(OURS), [cells.get(f) for f in floors]))
    return Evaluation(floors, table)


def router(site: Site) -> APIRouter:
    """Build the page's routes."""
    routes = APIRouter()

    @routes.get("/models", response_class=HTMLResponse)
    def show(request: Request) -> HTMLResponse:
        """Return the models and the agents."""
        with reading(site.engine) as c:
            bundles = fleet.bundles(c, site.enterprise)
            devices = fleet.devices(c, site.enterprise)
        bundles.sort(key=lambda b: (not b.assigned, -b.published_ns))
        evaluations = {b.name: tabulate(b.manifest.evaluation) for b in bundles if b.manifest}
        signed = site.signed_bundles() if bundles else {}
        return site.answer(
            request, "models.html", bundles=bundles, devices=devices, evaluations=evaluations, signed=signed
        )

    return routes
