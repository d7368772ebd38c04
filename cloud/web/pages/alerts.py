"""`/alerts` and `/a/{id}`: what a device warned of, and the one tap that answers it."""

from __future__ import annotations

import uuid
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, StringConstraints

from cloud.alerts.types import Evidence, Outcome
from cloud.catalogue import fleet
from cloud.catalogue.access import reading
from cloud.catalogue.fleet import MachineRow
from cloud.web.rawdata import raw_data
from cloud.web.site import Page, Site

PER_PAGE = 50
_NAME_COOKIE = "name"
_NAME_KEPT_S = 180 * 86_400
_LONGEST_NAME = 60


class Tap(BaseModel):
    """What a button on the alert's page sends; `tap` makes the same tap count once, however often it arrives."""

    tap: Annotated[str, StringConstraints(max_length=64)] = ""
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=_LONGEST_NAME)] = ""
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] = ""

    @property
    def who(self) -> str:
        """Who tapped: the name they gave, else the crew as a whole."""
        return self.name or "crew"

    def back(self, page: Page, alert_id: int) -> RedirectResponse:
        """Return to the alert, and remember the name on this device."""
        answer = RedirectResponse(page.url(f"/a/{alert_id}"), status_code=303)
        if self.name:
            kept = quote(self.name)
            answer.set_cookie(_NAME_COOKIE, kept, max_age=_NAME_KEPT_S, httponly=True, samesite="strict")
        return answer


class Resolution(Tap):
    """The tap that closes an alert."""

    outcome: Outcome


def share_of_limit(figure: Evidence) -> float:
    """Return a figure's size against its limit, 1 at the limit; 0 where that cannot be said."""
    if figure.value is None or figure.limit is None or figure.limit <= 0:
        return 0.0
    return max(figure.value / figure.limit, 0.0)


def _channels(machine: MachineRow | None) -> dict[str, str]:
    return {c.name: c.unit for c in machine.channels} if machine else {}


def router(site: Site) -> APIRouter:
    """Build the pages' routes."""
    routes = APIRouter()

    @routes.get("/alerts", response_class=HTMLResponse)
    def show_all(request: Request, state: str = "open", before: int | None = None) -> HTMLResponse:
        """Return the alerts, the newest first."""
        if state == "all":
            found = site.book.list(states=None, before=before, limit=PER_PAGE + 1)
        else:
            found = site.book.list(before=before, limit=PER_PAGE + 1)
        older = found[PER_PAGE - 1].id if len(found) > PER_PAGE else None
        return site.answer(request, "alerts.html", alerts=found[:PER_PAGE], state=state, older=older)

    @routes.get("/a/{alert_id}", response_class=HTMLResponse)
    def show(request: Request, alert_id: int) -> HTMLResponse:
        """Return one alert."""
        detail = site.book.get(alert_id)
        with reading(site.engine) as c:
            found = fleet.machines(c, site.enterprise, name=detail.alert.machine)
        here = next((m for m in found if m.site == detail.alert.site), None)
        return site.answer(
            request,
            "alert.html",
            alert=detail.alert,
            events=detail.events,
            evidence=sorted(detail.alert.said.evidence, key=share_of_limit, reverse=True),
            share_of_limit=share_of_limit,
            line=here.line if here else "",
            several_sites=len(found) > 1,
            outcomes=list(Outcome),
            raw=raw_data(site, detail.alert, _channels(here)),
            tap=uuid.uuid4().hex,
            name=unquote(request.cookies.get(_NAME_COOKIE, ""))[:_LONGEST_NAME],
        )

    @routes.post("/a/{alert_id}/acknowledge")
    def acknowledge(request: Request, alert_id: int, form: Annotated[Tap, Form()]) -> RedirectResponse:
        """Take "I have seen it"."""
        site.book.acknowledge(alert_id, form.who, note=form.note, idempotency_key=form.tap or None)
        return form.back(Page(request, 0), alert_id)

    @routes.post("/a/{alert_id}/start")
    def start(request: Request, alert_id: int, form: Annotated[Tap, Form()]) -> RedirectResponse:
        """Take "I am on it"."""
        site.book.start(alert_id, form.who, note=form.note, idempotency_key=form.tap or None)
        return form.back(Page(request, 0), alert_id)

    @routes.post("/a/{alert_id}/raw")
    def ask_raw(request: Request, alert_id: int, form: Annotated[Tap, Form()]) -> RedirectResponse:
        """Take "send the raw data around this alarm"."""
        site.book.ask_raw(alert_id, form.who, idempotency_key=form.tap or None)
        return form.back(Page(request, 0), alert_id)

    @routes.post("/a/{alert_id}/resolve")
    def resolve(request: Request, alert_id: int, form: Annotated[Resolution, Form()]) -> RedirectResponse:
        """Take what was found: the label the next model learns from."""
        site.book.resolve(alert_id, form.who, form.outcome, note=form.note, idempotency_key=form.tap or None)
        return form.back(Page(request, 0), alert_id)

    return routes
