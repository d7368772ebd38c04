"""A webhook: each change of an alarm is posted to one address, again and again with jitter until it is taken."""

from __future__ import annotations

import http.client
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import IO, Any

import structlog

from edge.announce.event import CONTENT_TYPE, Event, signature

_LATER = frozenset({408, 425, 429})  # beside 5xx: the other side may take it later
_SHORTEST_S, _LONGEST_S = 0.5, 60.0
_log = structlog.get_logger()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: a signed alarm goes where the plant said, and nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow nothing."""


class Webhook:
    """Posts to `url`; an answer of 2xx ends it, 3xx and most 4xx give it up, anything else is tried again."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        secret: bytes = b"",
        answer_s: float = 10.0,
        retry_s: float = 3600.0,
        clock_s: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
        shortest_s: float = _SHORTEST_S,
    ) -> None:
        self._url = url
        self._secret = secret
        self._answer_s = answer_s
        self._retry_s = retry_s
        self._clock_s = clock_s
        self._jitter = jitter
        self._shortest_s = shortest_s
        self._opener = urllib.request.build_opener(_NoRedirect)

    def tell(self, event: Event, stopping: threading.Event) -> None:
        """Post until it is taken, refused for good, out of time, or the device stops."""
        until = self._clock_s() + self._retry_s
        longest = self._shortest_s
        reason = ""
        while not stopping.is_set():
            reason, again = self._post(event)
            if not reason:
                return
            pause = self._jitter(longest / 2, longest)
            if not again or self._clock_s() + pause > until:
                break
            longest = min(longest * 2, _LONGEST_S)
            stopping.wait(pause)
        _log.error("webhook given up", reason=reason or "the device stops", event_id=event.id)

    def _post(self, event: Event) -> tuple[str, bool]:
        """Why it was not taken, empty if it was, and whether to try again."""
        headers = {"content-type": CONTENT_TYPE, "user-agent": "forewarn"}
        if self._secret:
            headers |= signature(self._secret, event, int(time.time()))
        request = urllib.request.Request(self._url, event.body, headers, method="POST")  # noqa: S310 - checked in the configuration
        try:
            with self._opener.open(request, timeout=self._answer_s):
                return "", False
        except urllib.error.HTTPError as e:
            with e:
                return f"answered {e.code}", e.code >= 500 or e.code in _LATER
        except (OSError, http.client.HTTPException) as e:
            return str(e) or type(e).__name__, True
