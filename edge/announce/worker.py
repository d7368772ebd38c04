"""One way of telling: its queue, its thread, and when it tries again."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from edge.announce.event import Event

_SHORTEST_S, _LONGEST_S = 0.5, 60.0  # between two attempts, jittered
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Untold:
    """Why an attempt failed, and whether another one may do better."""

    reason: str
    again: bool


class Way(Protocol):
    """One way to tell."""

    name: str
    retry_s: float  # how long one event is tried again

    def tell(self, event: Event, stopping: threading.Event) -> Untold | None:
        """One attempt, cut short when `stopping` is set; None: it was taken."""
        ...


class Worker:
    """Tells one event after the other, in the order in which they came."""

    def __init__(
        self,
        way: Way,
        longest: int,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """At most `longest` events wait; the oldest of them is given up for a newer one."""
        self._way = way
        self._longest = longest
        self._clock_s = clock_s
        self._jitter = jitter
        self._queue: deque[tuple[str, Event]] = deque()  # with the machine
        self._telling: tuple[str, Event] | None = None
        self._changed = threading.Condition()
        self._finishing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"announce {way.name}", daemon=True)
        self._thread.start()

    def put(self, machine: str, event: Event) -> None:
        """Tell it after those that wait; from any thread."""
        with self._changed:
            if len(self._queue) >= self._longest:
                _, lost = self._queue.popleft()
                _log.error("announcement given up, too many wait", way=self._way.name, event_id=lost.id)
            self._queue.append((machine, event))
            self._changed.notify()

    def waiting(self, machine: str) -> list[Event]:
        """One machine's events that nobody has taken yet, the oldest first; from any thread."""
        with self._changed:
            all_waiting = [self._telling, *self._queue] if self._telling else self._queue
            return [event for name, event in all_waiting if name == machine]

    def finish(self) -> None:
        """End once nothing waits."""
        with self._changed:
            self._finishing = True
            self._changed.notify()

    def close(self, until_s: float) -> None:
        """Wait until it ended by itself, at most until this monotonic time, and end it."""
        self._thread.join(max(0.0, until_s - time.monotonic()))
        self._stopping.set()
        self._thread.join(1.0)
        left = len(self._queue) + (self._telling is not None)
        if left:
            _log.warning("stopped before all was announced, the next start goes on", way=self._way.name, waiting=left)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._finishing)
                if not self._queue:
                    return
                self._telling = self._queue.popleft()
            if not self._settled(self._telling[1]):
                return
            with self._changed:
                self._telling = None

    def _settled(self, event: Event) -> bool:
        """Try until it is taken, refused for good or out of time; False when the device stops first."""
        until = self._clock_s() + self._way.retry_s
        longest = _SHORTEST_S
        while not self._stopping.is_set():
            untold = self._attempt(event)
            if untold is None:
                return True
            pause = self._jitter(longest / 2, longest)
            if not untold.again or self._clock_s() + pause > until:
                _log.error("announcement given up", way=self._way.name, reason=untold.reason, event_id=event.id)
                return True
            if longest == _SHORTEST_S:
                _log.warning("not announced, trying again", way=self._way.name, reason=untold.reason, event_id=event.id)
            longest = min(longest * 2, _LONGEST_S)
            self._stopping.wait(pause)
        return False

    def _attempt(self, event: Event) -> Untold | None:
        try:
            return self._way.tell(event, self._stopping)
        except Exception as e:  # noqa: BLE001 - logged with its trace: one event's fault must not silence the next
            _log.exception("announcement failed", way=self._way.name, event_id=event.id)
            return Untold(str(e) or type(e).__name__, again=False)
