"""Puts the pages together over one cloud."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy import text
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from cloud.catalogue import fleet
from cloud.catalogue.access import reading
from cloud.web import live as feed
from cloud.web.history import Histories, Memory
from cloud.web.live import Live
from cloud.web.pages import alerts, machine, models
from cloud.web.pages import fleet as fleet_page
from cloud.web.security import Guard
from cloud.web.site import STATIC, Site
from models.errors import BundleRejected, ForewarnError, Unavailable, WrongUse

if TYPE_CHECKING:
    from cloud.wiring import Cloud

_REMEMBER_S = 3.0  # how long a chart's answer is good for the next reader
_SIGNATURES_S = 30.0
_ENTRIES = 256
_FOR_EVER = "public, max-age=31536000, immutable"


def create_app(cloud: Cloud, *, clock: Callable[[], int] = time.time_ns) -> FastAPI:
    """Return the pages as an ASGI app; `app.state.live.close()` ends its streams before a server stops."""

    def read_stamp() -> fleet.Stamp:
        with reading(cloud.engine) as c:
            return fleet.stamp(c, cloud.enterprise)

    live = Live(read_stamp, clock)
    signatures = Memory(_SIGNATURES_S, 1)
    site = Site(
        engine=cloud.engine,
        enterprise=cloud.enterprise,
        book=cloud.alerts,
        histories=Histories(cloud.lake, Memory(_REMEMBER_S, _ENTRIES)),
        signed_bundles=lambda: signatures.get("signed", lambda: read_signed(cloud)),
        clock=clock,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        live.close()

    app = FastAPI(title="Forewarn", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.live = live
    app.add_middleware(Guard)
    for routes in (fleet_page.router(site), machine.router(site), alerts.router(site), models.router(site)):
        app.include_router(routes)
    app.include_router(feed.router(live))
    app.mount("/static", _Static(directory=STATIC), name="static")
    _answer_health(app, site)
    _answer_errors(app, site)
    return app


def read_signed(cloud: Cloud) -> dict[str, str] | None:
    """Return the sha256 of each bundle as the signed registry has it; None where the registry cannot be read."""
    signed = {}
    try:
        for bundle in cloud.registry.list():
            with suppress(BundleRejected, WrongUse):
                signed[bundle.name] = hashlib.sha256(cloud.registry.read(bundle.name)).hexdigest()
    except ForewarnError:
        return None
    return signed


class _Static(StaticFiles):
    """Files that never change under one link: the link holds their fingerprint."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        scope = next(a for a in (*args, *kwargs.values()) if isinstance(a, dict))
        response.headers["cache-control"] = _FOR_EVER if _has_fingerprint(scope) else "no-cache"
        return response


def _has_fingerprint(scope: Scope) -> bool:
    return bytes(scope.get("query_string", b"")).startswith(b"v=")


def _answer_health(app: FastAPI, site: Site) -> None:
    @app.get("/healthz")
    def health() -> Response:
        """Say whether the pages can answer: 200, or 503 while the catalogue is away."""
        try:
            with reading(site.engine) as c:
                c.execute(text("SELECT 1"))
        except Unavailable as e:
            return JSONResponse({"status": "unavailable", "reason": e.what}, 503)
        return JSONResponse({"status": "ok"})


def _answer_errors(app: FastAPI, site: Site) -> None:
    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        kind = "not_found" if error.status_code == 404 else "wrong"
        return site.answer(request, "error.html", status=error.status_code, error=kind, detail="")

    @app.exception_handler(RequestValidationError)
    def wrong_request(request: Request, error: RequestValidationError) -> Response:
        what = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()[:3])
        return site.answer(request, "error.html", status=422, error="wrong", detail=what)

    @app.exception_handler(WrongUse)
    def wrong_use(request: Request, error: WrongUse) -> Response:
        missing = request.method in {"GET", "HEAD"}
        return site.answer(
            request,
            "error.html",
            status=404 if missing else 409,
            error="not_found" if missing else "wrong",
            detail=error.what,
        )

    @app.exception_handler(Unavailable)
    def unavailable(request: Request, error: Unavailable) -> Response:
        return site.answer(request, "error.html", status=503, error="unavailable", detail=error.what)
