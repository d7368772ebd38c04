"""What the page shows: the sampling threads write it, the page's thread reads it, a lock for each machine between."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from edge.board.history import Minute, Trend
from edge.types import Alarm, AlarmChange, Assessment, Machine, Quality, Window

_MOST_OPEN = 64  # one for the machine and one for each sensor are possible


@dataclass(frozen=True, slots=True)
class Shown:
    """One machine at one moment."""

    machine: Machine
    zone: str  # A B C D
    alarms: tuple[Alarm, ...]  # open, the worst first
    time_ns: int | None  # event time of the last window; None before the first
    age_s: float  # since it was taken, by the device's own clock
    every_s: float
    deviation: float
    limit: float  # of the deviation; infinite where it is not known
    remaining_life_s: tuple[float, float, float] | None  # p05, p50, p95
    no_estimate_reason: str  # why there is none; empty without a model
    sensor_fault: bool
    clock_suspect: bool
    trend: tuple[Minute, ...]

    @property
    def stale(self) -> bool:
        """Whether windows have been missing for a while."""
        return self.time_ns is None or self.age_s > max(5 * self.every_s, 60.0)


class MachineBoard:
    """One machine's part."""

    def __init__(
        self, machine: Machine, *, days: int, every_s: float = 10.0, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.machine = machine
        self._every_s = every_s
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._trend = Trend(days)
        self._open: dict[str, Alarm] = {}
        self._time_ns: int | None = None
        self._taken_s = 0.0
        self._deviation, self._limit = 0.0, math.inf
        self._life: tuple[float, float, float] | None = None
        self._no_life = ""
        self._sensor_fault = False
        self._clock_suspect = False

    def take(
        self, window: Window, said: Assessment | None, deviation: float, alarms: list[Alarm], limit: float = math.inf
    ) -> None:
        """One window and what became of it."""
        with self._lock:
            for alarm in alarms:
                self._open.pop(alarm.key, None)
                if alarm.change is not AlarmChange.RETURNED_TO_NORMAL and len(self._open) < _MOST_OPEN:
                    self._open[alarm.key] = alarm
            self._time_ns, self._taken_s = window.time_ns, self._clock_s()
            self._deviation, self._limit = deviation, limit
            self._life, self._no_life = (said.rul_s, said.reason) if said else (None, "")
            self._sensor_fault = bool(window.quality & Quality.SENSOR_FAULT)
            self._clock_suspect = bool(window.quality & Quality.SUSPECT_CLOCK)
            self._trend.add(window.time_ns, deviation, said.degradation if said else math.nan, self._zone())

    def _zone(self) -> str:
        return max((a.severity for a in self._open.values()), default="A")

    def shown(self) -> Shown:
        """The machine now; from any thread."""
        with self._lock:
            trend = self._trend.copy()
            shown = Shown(
                machine=self.machine,
                zone=self._zone(),
                alarms=tuple(sorted(self._open.values(), key=lambda a: a.severity, reverse=True)),
                time_ns=self._time_ns,
                age_s=self._clock_s() - self._taken_s,
                every_s=self._every_s,
                deviation=self._deviation,
                limit=self._limit,
                remaining_life_s=self._life,
                no_estimate_reason=self._no_life,
                sensor_fault=self._sensor_fault,
                clock_suspect=self._clock_suspect,
                trend=(),
            )
        return replace(shown, trend=tuple(trend.minutes()))

    # --- what outlives a restart ----------------------------------------------------------------------------------

    def state(self) -> dict[str, bytes]:
        """What changed since the last call; kept with the window that it follows from."""
        with self._lock:
            name = self.machine.name
            return {
                f"open/{name}": msgspec.msgpack.encode(list(self._open.values())),
                **self._trend.state(f"trend/{name}"),
            }

    def restore(self, state: Callable[[str], bytes | None]) -> None:
        """Continue from what was kept; ValueError when it is not understood."""
        with self._lock:
            name = self.machine.name
            self._trend.restore(f"trend/{name}", state)
            data = state(f"open/{name}")
            if data:
                self._open = {a.key: a for a in msgspec.msgpack.decode(data, type=list[Alarm])}


class Board:
    """All machines of the device."""

    def __init__(self, device: str, site: str) -> None:
        self.device = device
        self.site = site
        self._machines: list[MachineBoard] = []

    def add(self, machine: MachineBoard) -> MachineBoard:
        """Show one machine more."""
        self._machines.append(machine)
        return machine

    def shown(self) -> list[Shown]:
        """All machines now, the worst first."""
        return sorted((m.shown() for m in self._machines), key=lambda s: (-ord(s.zone), s.machine.name))
