"""Serves the page on the loopback: one thread, one request at a time, GET only, with deadlines.

A page of another site must not read it through the browser of somebody at this machine: a request whose Host is not the
loopback is refused.
"""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import structlog

from edge.board.board import Board
from edge.board.page import SCRIPT, STYLE, render
from models.addresses import is_loopback
from models.errors import ConfigurationError

_REQUEST_S = 5.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_log = structlog.get_logger()


class PageServer:
    """The page of one device."""

    def __init__(self, board: Board, listen: str) -> None:
        """`listen` is `host:port` of the loopback, port 0 any free one; ConfigurationError when it is taken."""
        host, _, port = listen.rpartition(":")
        handler = type("Handler", (_Handler,), {"board": board})
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = type("Server", (_Server,), {"address_family": family})
        try:
            self._server: HTTPServer = server((host.strip("[]"), int(port)), handler)
        except OSError as e:
            raise ConfigurationError(
                f"the page cannot be served: {e.strerror}", where=f"page.listen = {listen}", mend="choose another port"
            ) from e
        self._thread = threading.Thread(target=self._server.serve_forever, name="page", daemon=True)

    @property
    def address(self) -> str:
        """The page's URL."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}/" if ":" in str(host) else f"http://{host!s}:{port}/"

    def start(self) -> None:
        """Serve until `close`."""
        self._thread.start()
        _log.info("page served", address=self.address)

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_REQUEST_S + 1)
        self._server.server_close()


class _Server(HTTPServer):
    request_queue_size = 16

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is nobody's concern; a fault of ours is logged with its trace."""
        _log.debug("page: request failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    board: ClassVar[Board]
    timeout = _REQUEST_S
    server_version = "forewarn"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, or its style sheet."""
        host = self.headers.get("Host", "").rpartition(":")
        name = (host[0] if host[1] and host[2].isdigit() else self.headers.get("Host", "")).strip("[]")
        if not is_loopback(name):
            self._answer(403, "text/plain", "Refused: ask for this page by the loopback's name.")
        elif self.path == "/":
            self._answer(200, "text/html", render(self.board, time.time_ns()))
        elif self.path == "/style.css":
            self._answer(200, "text/css", STYLE)
        elif self.path == "/live.js":
            self._answer(200, "text/javascript", SCRIPT)
        else:
            self._answer(404, "text/plain", "There is only one page: /")

    do_HEAD = do_GET

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A page that reloads itself is not worth a line."""
