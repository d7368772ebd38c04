"""From features and a model's word to alarms: one alarm for the machine, one for each sensor.

Invariants:
- The machine is judged against its own healthy start whether or not there is a model: a model adds a condition.
- Both conditions share one alarm, so that one machine in trouble is one alert.
- A channel whose sensor is faulty has no say about the machine, neither in its baseline nor after.
- Where slow channels tell speed and load, like is compared with like; at standstill nothing is judged or learned.
- Everything but raw samples is in `dump`: a restart between two windows changes no decision. Only a diagnosis of the
  bearing waits for enough samples again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from edge.detection import diagnosis
from edge.detection.baseline import ChannelBaseline
from edge.detection.bearing_part import TOO_SHORT, Verdict, diagnose
from edge.detection.config import DetectionConfig
from edge.detection.fault import Told, weigh
from edge.detection.latch import Latch
from edge.detection.own_limits import OwnLimits
from edge.detection.regime import Regime, RegimeWatch
from edge.detection.trigger import ACT, NORMAL, WARN, Limits, Trigger
from edge.detection.watch import SensorWatch
from edge.detection.wiring import WiringWatch
from edge.features.recent import Recent
from edge.features.speed import ShaftSpeed
from edge.types import Alarm, AlarmChange, Assessment, ChannelKind, Evidence, FeatureRow, Kind, Machine, Window
from models.manifest import Thresholds

BASELINE = "baseline"  # the source of an alarm that no model raised
NO_MODEL = "no_model"  # why there is no estimate of the remaining life
_ZONE = {NORMAL: "A", WARN: "C", ACT: "D"}


class Detector:
    """The alarms of one machine, window by window."""

    def __init__(self, machine: Machine, config: DetectionConfig | None = None) -> None:
        self.machine = machine
        self.config = c = config or DetectionConfig()
        self._limits = self._own_limits()
        self._wired = {x.name for x in machine.channels}
        self._channels: dict[str, ChannelBaseline] = {}
        self._units: dict[str, dict[str, str]] = {}
        self._own, self._model = Trigger(), Trigger()
        self._model_limits: tuple[Thresholds, Limits] | None = None  # of the model that spoke last
        self._latch = Latch(machine.name)
        self._speed = ShaftSpeed(machine)
        self._recent = Recent(machine) if machine.bearing and self._speed.known else None
        self._named: tuple[str, str] | None = None  # part and fault given to the alarm that is alive
        self._watch, self._wiring, self._regimes = SensorWatch(machine, c), WiringWatch(), RegimeWatch(machine)
        self._by_model = False  # whether the model, not the baseline, spoke when the alarm last rose

    def check(self, window: Window) -> Window:
        """The same window with the channels of faulty sensors marked.

        Called before the features are made, so that a model does not take a dead sensor for a silent machine.
        """
        return self._watch.check(window)

    def update(
        self,
        window: Window,
        rows: Sequence[FeatureRow],
        assessment: Assessment | None = None,
        thresholds: Thresholds | None = None,
    ) -> tuple[float, list[Alarm]]:
        """Return the deviation from the healthy start (robust z, 0 while it is learned) and what changed.

        `assessment` None is a window that the model cannot judge; `thresholds` None is a machine without a model.
        """
        regime = self._regimes.of(rows)
        unheard = self._watch.look(window)
        heard = [r for r in rows if r.kind is Kind.FEATURES and r.channel not in unheard]
        alarms = self._watch.update(window, self._listen(heard, regime) if regime is not None else None)
        if self._recent is not None:
            self._recent.add(window, self._speed.of(window), self._watch.faulty)
        judged = []
        if regime is not None:
            told = [r.channel for r in heard if r.channel not in self._watch.faulty]
            judged = [n for n in told if self._channels[n].update(window.time_ns)]
        deviation, channel = self._worst(judged or list(self._channels))
        if judged and regime is not None:
            self._own.update(deviation, self._limits.update(window.time_ns, deviation, regime))
        model_limits = self._judge(assessment, thresholds)
        change = self._latch.update(max(self._own.level, self._model.level))
        if change is not None:
            if change is not AlarmChange.RETURNED_TO_NORMAL:
                self._by_model = self._model.level > self._own.level
            alarm = self._alarm(change, window.time_ns, deviation, channel, assessment)
            alarms.append(self._with_model(alarm, assessment, model_limits))
        return deviation, alarms

    def acknowledge(self, key: str) -> bool:
        """Somebody has seen the alarm `key`; False when this machine has no such alarm alive."""
        return self._latch.acknowledge(key) or self._watch.acknowledge(key)

    def new_baseline(self) -> None:
        """The machine was repaired: learn its healthy start anew.

        An open alarm returns to normal at the next window; whatever comes then is a new alarm.
        """
        self._channels, self._limits = {}, self._own_limits()
        if self._recent is not None:
            self._recent.clear()
        self._wiring = WiringWatch()
        self._own.reset()
        self._model.reset()
        self._latch.acknowledged = True

    def _own_limits(self) -> OwnLimits:
        return OwnLimits(self.config, sum(x.kind is ChannelKind.WAVEFORM for x in self.machine.channels))

    @property
    def learned(self) -> bool:
        """Whether every channel that was heard has a healthy start."""
        return bool(self._channels) and all(c.z is not None for c in self._channels.values())

    @property
    def limit(self) -> float:
        """The deviation from which on the machine is raised now."""
        return self._limits.now.warn

    def _listen(self, rows: Sequence[FeatureRow], regime: Regime) -> dict[str, str]:
        """Let each channel read its row; return the fault of those that are wired or scaled as they should not be."""
        for row in rows:
            self._channel(row).hear(row, regime)
        return self._wiring.update({r.channel: self._channels[r.channel] for r in rows})

    def _channel(self, row: FeatureRow) -> ChannelBaseline:
        channel = self._channels.get(row.channel)
        if channel is None:
            channel = self._channels[row.channel] = ChannelBaseline(self.config, self._limits.day_zero)
            self._units[row.channel] = dict(zip(row.schema.columns, row.schema.units, strict=True))
        return channel

    def _worst(self, names: Sequence[str]) -> tuple[float, str]:
        """The largest deviation of these channels, and whose it is."""
        return max(((self._channels[n].deviation, n) for n in names), default=(0.0, ""))

    def _judge(self, assessment: Assessment | None, thresholds: Thresholds | None) -> Limits | None:
        if thresholds is None:
            self._model.reset()
            return None
        if self._model_limits is None or thresholds is not self._model_limits[0]:
            t = thresholds
            self._model_limits = t, Limits(t.warn, t.act, t.deadband, t.on_delay_windows, t.off_delay_windows)
        limits = self._model_limits[1]
        self._model.update(assessment.degradation if assessment else None, limits)
        return limits

    def _alarm(
        self, change: AlarmChange, time_ns: int, deviation: float, channel: str, assessment: Assessment | None
    ) -> Alarm:
        """The alarm with what is broken, its figures as the baseline alone would say them."""
        level = max(self._own.level, self._model.level)
        verdict = self._diagnose(change)
        told = weigh(verdict, assessment.faults if assessment else {})
        part, fault = self._part_and_fault(change, told, looked_at=verdict.reason != TOO_SHORT)
        return Alarm(
            key=self._latch.key,
            change=change,
            machine=self.machine.name,
            channel=channel,
            time_ns=time_ns,
            severity=_ZONE[level],
            confidence=diagnosis.confidence(
                baseline_level=self._own.level,
                model_level=self._model.level,
                named=part != "machine",
                physics=verdict.confidence if verdict.fault else "",
            ),
            part=part,
            fault=fault,
            source=BASELINE,
            score=deviation,
            threshold=self._limits.now.of(level),
            no_estimate_reason=NO_MODEL,
            evidence=(*verdict.evidence(), *diagnosis.evidence(self._channels, self._units, self.limit)),
        )

    def _diagnose(self, change: AlarmChange) -> Verdict:
        """What the lines of the last samples say; only when an alarm rises, for it costs some 50 ms a channel."""
        bearing, recent = self.machine.bearing, self._recent
        if bearing is None or recent is None or not recent.speed_rpm or change is AlarmChange.RETURNED_TO_NORMAL:
            return Verdict(None, reason=TOO_SHORT)
        return diagnose(recent.stretches(), bearing, recent.speed_rpm)

    def _part_and_fault(self, change: AlarmChange, told: Told, *, looked_at: bool) -> tuple[str, str]:
        """What was told first; a name stays with its alarm until the alarm is over, or physics knows better."""
        rising = change is not AlarmChange.RETURNED_TO_NORMAL
        if rising and told.part is not None and not (told.by_model and self._named):
            self._named = ("bearing", told.part)
        named = self._named
        if not rising:
            self._named = None
        if named is not None:
            return named
        return diagnosis.part_and_fault(self._channels, self._limits.day_zero, looked_at=looked_at)

    def _with_model(self, alarm: Alarm, assessment: Assessment | None, limits: Limits | None) -> Alarm:
        """The same alarm with what the model adds: the remaining life, and its own figures where it is what spoke."""
        if assessment is None or limits is None:
            return alarm
        alarm = replace(alarm, remaining_life_s=assessment.rul_s, no_estimate_reason=assessment.reason)
        if not self._by_model:
            return alarm
        score, threshold = assessment.degradation, limits.of(self._model.level)
        own = Evidence(feature="degradation@1", channel="", unit="1", value=score, baseline=0.0, limit=threshold)
        return replace(
            alarm,
            channel="",
            source=assessment.bundle,
            score=score,
            threshold=threshold,
            evidence=(own, *alarm.evidence),
        )

    def dump(self) -> bytes:
        """The whole state, to be restored by `load` after a restart."""
        state = {
            "channels": {n: c.state() for n, c in self._channels.items()},
            "units": self._units,
            "limits": self._limits.state(),
            "own": self._own,
            "model": self._model,
            "latch": self._latch,
            "by_model": self._by_model,
            "named": self._named,
            "sensors": self._watch.state(),
            "levels": self._wiring.factors,
            "misread": sorted(self._wiring.wrong),
            "highest": self._regimes.highest,
        }
        return msgspec.json.encode(state)

    def take_over(self, data: bytes) -> None:
        """Go on from the `dump` of another device of this machine, possibly of some time ago.

        This device's own sensors and their alarms stay. An alarm that was open is raised again under its key, since
        nobody here knows of it. New alarms have keys of their own: the other device may have raised some since.
        """
        sensors = msgspec.json.encode(self._watch.state())
        self.load(data)
        self._watch.restore(msgspec.json.decode(sensors))
        before = self._latch
        self._latch = Latch(before.name, count=before.count, key=before.key if before.level else "")

    def load(self, data: bytes) -> None:
        """Restore what `dump` gave; channels that are no longer configured are left out."""
        state: dict[str, Any] = msgspec.json.decode(data)
        self._channels = {}
        for name in [n for n in state["channels"] if n in self._wired]:
            self._channels[name] = ChannelBaseline(self.config, self._limits.day_zero)
            self._channels[name].restore(state["channels"][name])
        self._units = {n: u for n, u in state["units"].items() if n in self._wired}
        self._limits = self._own_limits()
        if "limits" in state:  # absent in the state of versions that knew day zero's only
            self._limits.restore(state["limits"])
        self._own, self._model = Trigger(**state["own"]), Trigger(**state["model"])
        self._latch = Latch(**state["latch"])
        self._by_model = state["by_model"]
        named = state.get("named")  # absent in the state of versions before the diagnosis by physics
        self._named = (named[0], named[1]) if named else None
        self._watch.restore(state["sensors"])
        self._wiring.factors, self._wiring.wrong = state.get("levels", {}), set(state.get("misread", ()))
        self._regimes.highest = state.get("highest", [0.0, 0.0])
