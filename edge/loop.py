"""One machine, from sensor to outbox: a synchronous loop in a thread of its own.

Invariants
- A window's records and the state that follows from it are kept in one transaction: a restart continues exactly there.
- A recording goes on where it stopped: windows that were kept are not taken again. Nor is what a live source sends once
  more after a restart, as a broker does when the answer was lost: it has the event time of a window that was kept.
- A model is switched between two windows, and finds the machine's own history.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from edge import records
from edge.bundles import Bundles
from edge.clock import DeviceClock
from edge.config import RecordsConfig
from edge.detection import Detector
from edge.detection.zones import ZoneEvidence
from edge.features import Extractor, spectrum
from edge.inference import Judge
from edge.keeper import Keeper
from edge.meter import Meter
from edge.outbox import Outbox
from edge.sources import Source
from edge.types import Alarm, Record, Window
from edge.witness import Heard, Nobody, Witness
from models.zones import ZoneLimits

_HEARD = 64  # windows whose event times are remembered over a restart
_STUCK_S = 60.0  # in one window: the disk or a driver hangs


@dataclass(frozen=True, slots=True)
class Order:
    """What the crew asks of a machine."""

    kind: str  # acknowledge | new_baseline
    alert_key: str = ""


class MachineLoop:
    """Listens to one machine until its source ends or `stopping` is set."""

    def __init__(
        self,
        source: Source,
        extractor: Extractor,
        detector: Detector,
        keeper: Keeper,
        outbox: Outbox,
        bundles: Bundles,
        config: RecordsConfig,
        *,
        stopping: threading.Event,
        wait_for_bundle: bool,
        meter: Meter | None = None,
        witness: Witness | None = None,
        clock: DeviceClock | None = None,
        zones: ZoneLimits | None = None,
    ) -> None:
        self.machine = source.sensor.machine
        self._source = source
        self._extractor = extractor
        self._detector = detector
        self._zones = ZoneEvidence(zones)
        self._judge = Judge(self.machine)
        self._keeper = keeper
        self._outbox = outbox
        self._bundles = bundles
        self._config = config
        self._stopping = stopping
        self._wait_for_bundle = wait_for_bundle
        self._meter = meter or Meter()
        self._began_s: float | None = None  # when the window in hand came
        self._witness = witness or Nobody()
        self._clock = clock or DeviceClock()
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._position_ns: int | None = None  # event time of the last window taken
        self._heard: deque[int] = deque(maxlen=_HEARD)  # those of a live source's last windows
        self._again: frozenset[int] = frozenset()  # what an earlier run heard last
        self._windows = 0
        self._log = structlog.get_logger().bind(machine=self.machine.name)

    def order(self, order: Order) -> None:
        """Obey before the next window; from any thread."""
        self._orders.put(order)

    def stop(self) -> None:
        """End `run` soon; from any thread. `stopping` was set before."""
        self._source.sensor.close()

    def run(self) -> None:
        """Take every window; what was taken is kept when it ends. RecordingRejected when a recording turns out bad."""
        self._restore()
        if self._wait_for_bundle:
            self._bundles.wait(self.machine.machine_class, self._stopping)
        if self._source.replay and self._position_ns is not None:
            self._log.info("going on behind what an earlier run kept", event_time_ns=self._position_ns)
            self._source.sensor.resume(self._position_ns)
        try:
            for window in self._source.sensor.windows():
                if self._stopping.is_set():
                    break
                if window.time_ns in self._again:
                    self._log.warning("window sent again, kept already", event_time_ns=window.time_ns)
                    continue
                self._take(window)
        finally:
            self._keeper.flush(self._state())
        self._log.info("source ended", windows=self._windows)

    def wrong(self) -> str:
        """What keeps this machine from being watched, in a sentence; empty if nothing does. From any thread."""
        if self._keeper.failing:
            return f"{self.machine.name}: records are not kept, the disk is full or failed"
        began_s = self._began_s
        if began_s is not None and not self._source.hurried and time.monotonic() - began_s > _STUCK_S:
            return f"{self.machine.name}: stuck on one window for over {_STUCK_S:g} s"
        return ""

    def _take(self, window: Window) -> None:
        self._began_s = time.monotonic()
        self._obey()
        self._switch()
        if not self._source.replay:
            window = self._clock.check(window)
        window = self._detector.check(window)
        rows = self._extractor.extract(window, self._judge.wanted)
        bundle = self._judge.bundle
        at_s = window.time_ns * 1e-9 if self._source.replay else self._clock.best_s(window)
        said = self._judge.update(at_s, rows)
        thresholds = bundle.manifest.thresholds if bundle else None
        deviation, alarms = self._detector.update(window, rows, said, thresholds)
        alarms = self._zones.add(rows, alarms)
        self._meter.decided(self.machine.name, time.monotonic() - self._began_s)
        found = records.of_rows(window, rows)
        found.append(records.of_health(window, deviation))
        if said is not None:
            found.append(records.of_assessment(window, said))
        every = self._config.spectrum_every_windows
        if alarms or (every and self._windows % every == 0):
            found += spectrum(self.machine, window)
        if self._witness.take(Heard(window, said, deviation, alarms, self._detector.limit)) or alarms:
            found += records.snippets(self.machine, window, self._config.snippet_samples)
        for alarm in alarms:
            self._log.warning(
                "alarm", key=alarm.key, change=alarm.change.name, severity=alarm.severity, by=alarm.source
            )
        self._windows += 1
        self._position_ns = window.time_ns
        if not self._source.replay:
            self._heard.append(window.time_ns)
        if self._keeper.add(found, alarms):
            self._keeper.flush(self._state())
        self._count(found, alarms)
        self._began_s = None

    def _count(self, found: Sequence[Record], alarms: Sequence[Alarm]) -> None:
        name, meter = self.machine.name, self._meter
        meter.add("windows_total", machine=name)
        meter.set("last_window_timestamp_seconds", time.time(), machine=name)
        for record in found:
            meter.add("records_total", machine=name, kind=record.kind.name.lower())
        for alarm in alarms:
            meter.add("alarms_total", machine=name, change=alarm.change.name.lower())

    def _obey(self) -> None:
        while True:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                return
            self._log.info("order of the crew", order=order.kind, key=order.alert_key)
            match order.kind:
                case "acknowledge":
                    self._detector.acknowledge(order.alert_key)
                case "new_baseline":
                    self._detector.new_baseline()
                    self._judge.new_baseline()
                    self._extractor.new_baseline()

    def _switch(self) -> None:
        """Take up the bundle that is in use now; its Judge inherits this machine's history."""
        bundle = self._bundles.get(self.machine.machine_class)
        if bundle is self._judge.bundle:
            return
        fresh = Judge(self.machine, bundle)
        fresh.load(self._judge.dump())
        self._judge = fresh
        self._log.info("model switched", bundle=bundle.name if bundle else "none")

    # --- what outlives a restart ----------------------------------------------------------------------------------

    def _state(self) -> dict[str, bytes]:
        name = self.machine.name
        position = str(self._position_ns).encode() if self._position_ns is not None else b""
        return {
            f"judge/{name}": self._judge.dump(),
            f"detector/{name}": self._detector.dump(),
            f"extractor/{name}": self._extractor.dump(),
            f"position/{name}": position,
            f"heard/{name}": np.array(self._heard, "<i8").tobytes(),
            **self._clock.state(),
            **self._witness.state(),
        }

    def _restore(self) -> None:
        """Continue from the state of the last window kept; state that this version cannot read is begun anew."""
        name = self.machine.name
        position = self._outbox.state(f"position/{name}")
        self._position_ns = int(position) if position else None
        self._heard.extend(np.frombuffer(self._outbox.state(f"heard/{name}") or b"", "<i8").tolist())
        self._again = frozenset(self._heard)
        self._judge = Judge(self.machine, self._bundles.get(self.machine.machine_class))
        self._witness.restore(self._outbox.state)
        parts: dict[str, Judge | Detector | Extractor] = {
            "judge": self._judge,
            "detector": self._detector,
            "extractor": self._extractor,
        }
        for part, keeps_state in parts.items():
            data = self._outbox.state(f"{part}/{name}")
            if data is None:
                continue
            try:
                keeps_state.load(data)
            except (ValueError, KeyError, TypeError) as e:  # msgspec's errors are ValueErrors
                keeps_state.new_baseline()
                self._log.error("state not understood, learning anew", part=part, reason=str(e))
