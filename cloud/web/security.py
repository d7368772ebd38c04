"""Guards every answer and every change, before any page is asked.

- Nothing inline and nothing from elsewhere runs: a name that a device chose can never become a script.
- GET, HEAD and OPTIONS change nothing; any other method must come from a page of this same origin, which the browser
  states in `Origin` (or `Sec-Fetch-Site`) and no other site can forge. A request that says nothing is refused.
- A form is small.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
LARGEST_FORM = 65_536  # bytes
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware: refuses changes from other sites, adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = None if scope["method"] in _READS else refuse(Headers(scope=scope), scope["scheme"])
        if refusal is not None:
            status, reason = refusal
            await PlainTextResponse(reason, status)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def refuse(headers: Headers, scheme: str) -> tuple[int, str] | None:
    """Return why a change is refused (status, sentence), or None."""
    if not same_origin(headers.getlist("origin"), headers.get("sec-fetch-site"), headers.get("host", ""), scheme):
        return 403, "Refused: a change must be made on a page of this site."
    length = headers.get("content-length", "")
    if not length.isdigit():
        return 411, "Refused: the length of the form is not said."
    if int(length) > LARGEST_FORM:
        return 413, "Refused: the form is too large."
    return None


def same_origin(origins: Iterable[str], fetch_site: str | None, host: str, scheme: str) -> bool:
    """Whether the browser says that the request comes from a page of this host; http behind a TLS proxy is fine."""
    stated = list(origins)
    if stated:
        return all(urlsplit(o).netloc == host and urlsplit(o).scheme in {scheme, "https"} for o in stated)
    return fetch_site == "same-origin"
