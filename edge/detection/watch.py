"""The sensors of one machine: which of them can be believed in a window, and one alarm for each that cannot."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from edge.detection.config import DetectionConfig
from edge.detection.latch import Latch
from edge.detection.sensors import DROPOUT, scalar_fault, waveform_fault
from edge.detection.trigger import NORMAL, Limits, Trigger
from edge.features.waveform import SHORTEST
from edge.types import SENSOR, Alarm, AlarmChange, Channel, ChannelKind, FloatArray, Machine, Quality, Window

_FAULTY, _NEVER = 1.0, 2.0
_REMEMBERED = 4  # times the on-delay: so many windows are looked back at, since a loose contact comes and goes


class SensorWatch:
    """Follows each channel's sensor; `faulty` names the channels that are not to be believed in the last window."""

    def __init__(self, machine: Machine, config: DetectionConfig) -> None:
        self.machine = machine
        self.faulty: frozenset[str] = frozenset()
        self._limits = Limits(_FAULTY, _NEVER, 0.0, config.sensor_on_delay_windows, config.sensor_off_delay_windows)
        self._at_rest = Trigger(below=config.sensor_off_delay_windows)
        self._triggers = {c.name: Trigger() for c in machine.channels}
        self._latches = {c.name: Latch(f"{machine.name}/{c.name}") for c in machine.channels}
        self._checked: tuple[Window, dict[str, str | None]] | None = None
        self._named: dict[str, str] = {}  # the last fault seen of each channel
        self._on_delay = config.sensor_on_delay_windows
        self._recent = dict.fromkeys(self._triggers, 0)  # one bit a window, the last one lowest: 1 faulty
        self._strange: frozenset[str] = frozenset()  # what the last window's features said against

    def check(self, window: Window) -> Window:
        """The same window with the channels of faulty sensors marked, for those that look at it before `update`."""
        marked = self._marked(window)
        faults = {c.name: _fault(window.samples.get(c.name), c, marked=c.name in marked) for c in self.machine.channels}
        faulty = self._strange.union(n for n, fault in faults.items() if fault)
        if not faulty <= marked:
            window = replace(window, quality=window.quality | Quality.SENSOR_FAULT, faulty=faulty)
        self._checked = (window, faults)
        return window

    def _marked(self, window: Window) -> Set[str]:
        """The channels whose sensors the source itself has marked as faulty."""
        if window.quality is Quality.GOOD or not window.quality & Quality.SENSOR_FAULT:
            return frozenset()
        return window.faulty or self._triggers.keys()

    def look(self, window: Window) -> frozenset[str]:
        """The channels whose samples cannot be believed in this window, checked before or not, or lately."""
        if self._checked is None or self._checked[0] is not window:
            self.check(window)
        assert self._checked is not None
        seen = {n for n, fault in self._checked[1].items() if fault}
        seen.update(n for n, t in self._triggers.items() if t.level != NORMAL and n not in self._strange)
        self.faulty = frozenset(seen)
        return self.faulty

    def update(self, window: Window, strange: Mapping[str, str] | None = None) -> list[Alarm]:
        """Take a window that was looked at, and what its features say against its channels; return what changed."""
        assert self._checked is not None
        faults, self._checked = self._checked[1], None
        if strange:
            faults.update(strange)
        alarms: list[Alarm] = []
        for name, fault in faults.items():
            trigger = self._triggers[name]
            if fault is None or (not fault and not self._recent[name] and trigger == self._at_rest):
                continue  # nothing was said, or nothing is new
            if fault:
                self._named[name] = fault
            trigger.update(self._value(name, fault, trigger), self._limits)
            change = self._latches[name].update(trigger.level)
            if change is not None:
                alarms.append(self._alarm(change, name, window.time_ns))
        self._strange = frozenset(strange or ())
        self.faulty |= self._strange
        return alarms

    def _value(self, name: str, fault: str | None, trigger: Trigger) -> float | None:
        """What the trigger counts: a fault that comes and goes counts on until it is raised."""
        if fault is None:
            return None
        kept = (1 << _REMEMBERED * self._on_delay) - 1
        recent = self._recent[name] = (self._recent[name] << 1 | bool(fault)) & kept
        often = trigger.level == NORMAL and recent.bit_count() >= self._on_delay
        return float(bool(fault) or often)

    def acknowledge(self, key: str) -> bool:
        """Somebody has seen the alarm; True when it is one of these sensors'."""
        return any(latch.acknowledge(key) for latch in self._latches.values())

    def _alarm(self, change: AlarmChange, channel: str, time_ns: int) -> Alarm:
        returned = change is AlarmChange.RETURNED_TO_NORMAL
        return Alarm(
            key=self._latches[channel].key,
            change=change,
            machine=self.machine.name,
            channel=channel,
            time_ns=time_ns,
            severity="A" if returned else "C",
            confidence="sure",
            part=SENSOR,
            fault=self._named[channel],
            source="baseline",
            score=0.0 if returned else _FAULTY,
            threshold=_FAULTY,
            no_estimate_reason="sensor_fault",
        )

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, for JSON."""
        return {"triggers": self._triggers, "latches": self._latches, "named": self._named, "recent": self._recent}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; channels that are no longer configured are left out."""
        for name in [n for n in self._triggers if n in state["triggers"]]:
            self._triggers[name] = Trigger(**state["triggers"][name])
            self._latches[name] = Latch(**state["latches"][name])
            self._recent[name] = state.get("recent", {}).get(name, 0)
        self._named = {n: f for n, f in state["named"].items() if n in self._triggers}


def _fault(samples: FloatArray | None, channel: Channel, *, marked: bool) -> str | None:
    """The fault of a channel's sensor, "" for none, None when the window says nothing of it."""
    fault: str | None = None
    if samples is not None and channel.kind is ChannelKind.SCALAR:
        fault = scalar_fault(samples, channel.unit) if samples.size else ""
    elif samples is not None and samples.size >= SHORTEST:
        fault = waveform_fault(samples)
    return DROPOUT if marked and not fault else fault
