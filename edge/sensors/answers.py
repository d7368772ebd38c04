"""Messages of a broker that wait for their answer until the device has kept what they said, in the order they came.

A message that is part of a measurement waits for the rest, but not for long: a broker may send no more before it has
answers, and would then never send the rest.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_LONGEST_PART_S = 1.0


@dataclass(slots=True)
class Unanswered:
    """One message; `until_ns` is the event time of the window it is in: 0 for none, None while that is not known."""

    number: int
    came_s: float
    until_ns: int | None = None


class Answers:
    """One connection's unanswered messages; for one thread."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._waiting: deque[Unanswered] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def came(self, number: int) -> Unanswered:
        """A message came; say on what it returns which window it is in."""
        self._waiting.append(Unanswered(number, self._clock_s()))
        return self._waiting[-1]

    def complete(self, until_ns: int, *, but: Unanswered | None) -> None:
        """The parts so far are in one window, `but` the last, if it begins another."""
        for message in self._waiting:
            if message.until_ns is None and message is not but:
                message.until_ns = until_ns

    def due(self, kept_ns: int) -> Iterator[int]:
        """Numbers of the messages that can be answered, now that all windows up to this event time are kept."""
        while self._waiting:
            first = self._waiting[0]
            late = first.until_ns is None and self._clock_s() - first.came_s > _LONGEST_PART_S
            if not late and (first.until_ns is None or first.until_ns > kept_ns):
                return
            yield self._waiting.popleft().number
