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
    """An evaluation as a page shows it: a table of (measure, ours, floor by floor), then what stands alone."""

    floors: list[str]
    rows: list[tuple[str, Any, list[Any]]]
    protocol: str
    facts: list[tuple[str, int | float | str]]


def tabulate(evaluation: Mapping[str, Any]) -> Evaluation:
    """Return measures beside their floors: a measure is a mapping with `ours` and one key a floor."""
    measures = {name: cells for name, cells in evaluation.items() if isinstance(cells, Mapping) and OURS in cells}
    floors = list(dict.fromkeys(f for cells in measures.values() for f in cells if f != OURS))
    return Evaluation(
        floors,
        [(name, cells[OURS], [cells.get(f) for f in floors]) for name, cells in measures.items()],
        str(evaluation.get("protocol", "")),
        [(n, v) for n, v in evaluation.items() if isinstance(v, (int, float, str)) and n != "protocol"],
    )


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
