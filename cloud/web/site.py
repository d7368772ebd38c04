"""What every page shares: the parts it reads from, the language of the reader, and how a template becomes an answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cloud.alerts.book import AlertBook
from cloud.catalogue import fleet
from cloud.catalogue.access import reading
from cloud.web.history import Histories
from cloud.web.words import Words, choose, languages
from models.errors import Unavailable

HERE = Path(__file__).parent
STATIC = HERE / "static"
_FULL_DAY_S = 86_400


class Page:
    """One request's reader: their language, the time, and links that keep both."""

    def __init__(self, request: Request, now_ns: int) -> None:
        asked = request.query_params.get("lang")
        self.words: Words = choose(asked, request.headers.get("accept-language", ""))
        self.now_ns = now_ns
        self._path = request.url.path
        self._query = dict(request.query_params)
        self._kept = {"lang": asked} if asked in languages() else {}

    def url(self, path: str, **query: object) -> str:
        """Return a link on this site; empty parameters are left out, a language that was asked for is kept."""
        parts = {k: str(v) for k, v in query.items() if v not in (None, "", False)} | self._kept
        return quote(path) + (f"?{urlencode(parts)}" if parts else "")

    def hidden(self, *without: str) -> dict[str, str]:
        """Return this page's parameters but some, for a form to keep them."""
        return {k: v for k, v in self._query.items() if k not in without}

    def same(self, **changed: object) -> str:
        """Return a link to this page with some parameters changed."""
        parts = {k: v for k, v in (self._query | changed).items() if v not in (None, "", False)}
        return quote(self._path) + (f"?{urlencode(parts)}" if parts else "")

    def time(self, ns: int) -> Markup:
        """Write a point in time (UTC): the clock alone for the last day, the date before that."""
        when = datetime.fromtimestamp(ns / 1e9, UTC)
        near = abs(self.now_ns - ns) < _FULL_DAY_S * 1e9
        text = when.strftime("%H:%M:%S" if near else "%Y-%m-%d %H:%M")
        return Markup('<time datetime="{}">{}</time>').format(when.isoformat(timespec="seconds"), text)

    def ago(self, ns: int) -> str:
        """Write how long ago, in words."""
        return self.words("site.ago", duration=self.words.duration((self.now_ns - ns) / 1e9))


@cache
def fingerprint(name: str) -> str:
    """Return a short hash of a static file, so that browsers may keep it for ever."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def _static(name: str) -> str:
    return f"/static/{name}?v={fingerprint(name)}"


@dataclass(frozen=True, slots=True)
class Site:
    """The parts that pages read from; `clock` gives ns since 1970."""

    engine: Engine
    enterprise: str
    book: AlertBook
    histories: Histories
    signed_bundles: Callable[[], dict[str, str] | None]  # name -> sha256 as signed; None: the registry is unreadable
    clock: Callable[[], int] = time.time_ns
    templates: Environment = Environment(  # noqa: RUF009 - without state of its own; holds compiled templates
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def answer(self, request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Render a template for this reader."""
        page = Page(request, self.clock())
        stamp = self._stamp()
        html = self.templates.get_template(template).render(
            page=page,
            t=page.words,
            url=page.url,
            static=_static,
            languages=languages(),
            stamp=stamp,
            here=request.url.path,
            **values,
        )
        headers = {"content-language": page.words.language, "vary": "accept-language"}
        return HTMLResponse(html, status, headers=headers)

    def _stamp(self) -> fleet.Stamp:
        try:
            with reading(self.engine) as c:
                return fleet.stamp(c, self.enterprise)
        except Unavailable:
            return fleet.Stamp(0, 0)  # the page that says so is an answer too
