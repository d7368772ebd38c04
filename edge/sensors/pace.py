"""When the next window is due: in real time, faster by a factor, or at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from models.errors import WrongUse


class Pace:
    """Waits in a source's own time; `close` from another thread ends the wait."""

    def __init__(
        self,
        speed: float | None,
        *,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        """`speed` 1 is real time, 60 an hour a minute, None as fast as possible; WrongUse when it is not above 0."""
        if speed is not None and not speed > 0:
            raise WrongUse(f"a replay speed of {speed:g}", mend="give a speed above 0, or none for as fast as possible")
        self._speed = speed
        self._now = now
        self._wait = wait
        self._closed = threading.Event()
        self._started: float | None = None

    def until(self, offset_s: float) -> bool:
        """Wait until `offset_s` of source time since the first call; False once closed."""
        if self._speed is not None:
            if self._started is None:
                self._started = self._now() - offset_s / self._speed
            left = self._started + offset_s / self._speed - self._now()
            if left > 0:
                self._wait(self._closed, left)
        return self.open

    @property
    def open(self) -> bool:
        """Whether it was not closed."""
        return not self._closed.is_set()

    def close(self) -> None:
        """End the wait, now and for good."""
        self._closed.set()
