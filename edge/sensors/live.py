"""What every source of a live machine does alike: a thread that listens, a bounded buffer, and plain reports.

A kind has only to write `listen`: connect, say `connected`, hand measurements to `take` or bad ones to `refuse`, and
raise Unavailable when the other side goes away. It is called again after a pause that grows and is jittered; each
change is reported once. `windows` ends within moments of `close` whatever the network does.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from numpy.typing import NDArray

from edge.sensors.kinds import Source, Wiring
from edge.sensors.measurement import BadData, WindowMaker
from edge.sensors.wired import LiveConfig
from edge.types import Window
from models.errors import Unavailable

_FIRST_RETRY_S = 0.5
_JOIN_S = 2.0
_KINDS_OF_BAD_DATA = 64


class LiveSensor:
    """A machine that is heard over a bus; the base of all such kinds."""

    def __init__(self, config: LiveConfig, wiring: Wiring) -> None:
        self.machine = config.wired(wiring)
        self.closed = threading.Event()
        self.refused = 0  # measurements
        self.dropped = 0  # windows that nobody took in time
        self.kept_ns = 0  # all windows up to this event time are kept, or counted as lost
        self.log = structlog.get_logger().bind(machine=wiring.name, source=config.__struct_config__.tag)
        self._config = config
        self._maker = WindowMaker(wiring.name, config.channels)
        self._kept: deque[Window] = deque()
        self._changed = threading.Condition()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._away: bool | None = None  # None: not connected yet
        self._attempt = 0
        self._reasons: Counter[str] = Counter()

    def source(self) -> Source:
        """This sensor as the loop takes it: event times are of the plant's clocks, and nothing waits for us."""
        return Source(self, replay=False, hurried=False, every_s=self._config.every_seconds, kept=self.kept)

    # --- for a kind to write --------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Hear until `closed` is set, looking at it every 0.2 s or so; Unavailable or OSError: try again later."""
        raise NotImplementedError

    # --- for `listen` to call -------------------------------------------------------------------------------------

    def connected(self) -> None:
        """The other side is there."""
        self._attempt = 0
        if self._away is not False:
            self.log.info("source is back" if self._away else "source connected")
        self._away = False

    def lost(self, why: str) -> None:
        """The other side went away, and `listen` goes on waiting for it; raising Unavailable says the same."""
        if not self._away:
            self.log.warning("source is away, waiting for it", reason=why)
        self._away = True

    def take(self, time_ns: int | None, values: Mapping[str, NDArray[Any]]) -> int:
        """One measurement: event time of its first sample (None: now), values by channel. BadData goes to `refuse`.

        Returns its window's event time: once `kept_ns` is there, the other side may be told that it came for good.
        """
        window = self._maker.make(time_ns, values)
        with self._changed:
            if len(self._kept) >= self._config.buffer_windows:
                self._kept.popleft()
                self.dropped += 1
                if _is_power_of_ten(self.dropped):
                    self.log.warning("windows dropped, the device is too slow", dropped=self.dropped)
            self._kept.append(window)
            self._changed.notify_all()
        return window.time_ns

    @property
    def full(self) -> bool:
        """Whether the next window would drive out the oldest: a kind whose other side can wait lets it wait."""
        return len(self._kept) >= self._config.buffer_windows

    def refuse(self, why: BadData) -> None:
        """Report a bad measurement, a repeated reason at its 10th, 100th, ... time only."""
        self.refused += 1
        if len(self._reasons) >= _KINDS_OF_BAD_DATA and str(why) not in self._reasons:
            self._reasons.clear()
        self._reasons[str(why)] += 1
        if _is_power_of_ten(self._reasons[str(why)]):
            self.log.warning("bad data", reason=str(why), times=self._reasons[str(why)])

    # --- a sensor -------------------------------------------------------------------------------------------------

    def resume(self, after_ns: int) -> None:
        """Nothing: what comes is new."""

    def kept(self, up_to_ns: int) -> None:
        """All windows up to this event time are kept, or counted as lost on a full disk; from any thread."""
        self.kept_ns = up_to_ns

    def windows(self) -> Iterator[Window]:
        """The windows as they come; to be called once. Silence is reported, and does not end it."""
        with self._changed:
            if self._thread is None and not self.closed.is_set():
                self._thread = threading.Thread(target=self._run, name=f"source {self.machine.name}", daemon=True)
                self._thread.start()
        silent = False
        while True:
            with self._changed:
                self._changed.wait_for(self._has_news, timeout=self._config.silent_seconds)
                if self.closed.is_set():
                    return
                window = self._kept.popleft() if self._kept else None
                if window is None and self._failure is not None:
                    raise self._failure
            if window is not None:
                silent = False
                yield window
            elif not silent:
                silent = True
                self.log.warning("source is silent", seconds=self._config.silent_seconds, connected=self._away is False)

    def close(self) -> None:
        """End `windows` at once and `listen` soon."""
        with self._changed:
            self.closed.set()
            self._changed.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _has_news(self) -> bool:
        return bool(self._kept) or self._failure is not None or self.closed.is_set()

    def _run(self) -> None:
        while not self.closed.is_set():
            why = "it ended"
            try:
                self.listen()
            except (Unavailable, OSError) as e:
                why = str(e) or type(e).__name__
            except Exception as e:  # noqa: BLE001 - a defect: raised in the thread that takes the windows
                with self._changed:
                    self._failure = e
                    self._changed.notify_all()
                return
            if self.closed.is_set():
                return
            self.lost(why)
            longest = min(self._config.longest_retry_seconds, _FIRST_RETRY_S * 2.0 ** min(self._attempt, 16))
            self._attempt += 1
            self.closed.wait(random.uniform(0.5, 1.0) * longest)  # noqa: S311 - jitter is no secret


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
