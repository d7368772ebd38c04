"""A webhook: each change of an alarm is posted to one address until it is taken."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request
from typing import IO, Any

from edge.announce.event import CONTENT_TYPE, Event, signature
from edge.announce.worker import Untold

_LATER = frozenset({408, 425, 429})  # beside 5xx: the other side may take it later


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: a signed alarm goes where the plant said, and nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow nothing."""


class Webhook:
    """Posts to `url`; an answer of 2xx takes it, 3xx and most 4xx refuse it for good, anything else may change."""

    name = "webhook"

    def __init__(self, url: str, *, secret: bytes = b"", answer_s: float = 10.0, retry_s: float = 259_200.0) -> None:
        self._url = url
        self._secret = secret
        self._answer_s = answer_s
        self.retry_s = retry_s
        self._opener = urllib.request.build_opener(_NoRedirect)

    def tell(self, event: Event, stopping: threading.Event) -> Untold | None:
        """Post once."""
        headers = {"content-type": CONTENT_TYPE, "user-agent": "forewarn"}
        if self._secret:
            headers |= signature(self._secret, event, int(time.time()))
        request = urllib.request.Request(self._url, event.body, headers, method="POST")  # noqa: S310 - checked in the configuration
        try:
            with self._opener.open(request, timeout=self._answer_s):
                return None
        except urllib.error.HTTPError as e:
            with e:
                return Untold(f"answered {e.code}", again=e.code >= 500 or e.code in _LATER)
        except (OSError, http.client.HTTPException) as e:
            return Untold(str(e) or type(e).__name__, again=True)
