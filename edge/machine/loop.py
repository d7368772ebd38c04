"""One machine, from sensor to outbox: a synchronous loop in a thread of its own.

Invariants
- A window's records and the state that follows from it are kept in one transaction: a restart continues exactly there.
- A recording goes on where it stopped: windows that were kept are not taken again. Nor is what a live source sends once
  more after a restart, as a broker does when the answer was lost: it has the event time of a window that was kept.
- A model is switched between two windows, and finds the machine's own history.
- What an earlier device had learned is taken over between two windows, whole or not at all, and only while this one
  still learns the healthy start.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from edge import records
from edge.carry.copy import LEARNED, Copy, pack
from edge.carry.schedule import Copies
from edge.clock import DeviceClock
from edge.config import RecordsConfig
from edge.detection import Detector
from edge.detection.zones import ZoneEvidence
from edge.features import Extractor, spectrum
from edge.inference import Judge
from edge.machine.bundles import Bundles
from edge.machine.keeper import Keeper
from edge.machine.witness import Heard, Nobody, Witness
from edge.monitoring.meter import Meter
from edge.outbox import Outbox
from edge.sources import Source
from edge.types import Alarm, ChannelKind, Record, Window
from models.errors import WrongUse
from models.zones import ZoneLimits

_HEARD = 64  # windows whose event times are remembered over a restart
_STUCK_S = 60.0  # in one window: the disk or a driver hangs
_LARGEST_COPY = 250_000  # bytes: a record must fit into one message to any gateway
# what state raises that is not of this version; msgspec's errors are ValueErrors
_NOT_UNDERSTOOD = (ValueError, KeyError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Order:
    """What the crew, or the cloud, asks of a machine."""

    kind: str  # acknowledge | new_baseline | take_over
    alert_key: str = ""
    copy: Copy | None = None  # to take over


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
        self._copies = Copies(config.copy_every_hours, live=not source.replay)
        kept, known = (outbox.state(f"{part}/{self.machine.name}") for part in ("copy", "detector"))
        self._copies.restore(kept, known=known is not None)
        self._position_ns: int | None = None  # event time of the last window taken
        self._heard: deque[int] = deque(maxlen=_HEARD)  # those of a live source's last windows
        self._again: frozenset[int] = frozenset()  # what an earlier run heard last
        self._windows = 0
        self._log = structlog.get_logger().bind(machine=self.machine.name)

    def order(self, order: Order) -> None:
        """Obey before the next window; from any thread."""
        self._orders.put(order)

    @property
    def asking(self) -> bool:
        """Whether what an earlier device had learned of this machine would be taken over; from any thread."""
        return self._copies.asking

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
                    self._source.kept(window.time_ns)
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
        alarms = [replace(a, quality=int(window.quality)) for a in self._zones.add(rows, alarms)]
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
        if self._copies.due(window.time_ns, learned=self._learned, alarms=alarms):
            found += self._copy(window)
        for alarm in alarms:
            self._log.warning(
                "alarm", key=alarm.key, change=alarm.change.name, severity=alarm.severity, by=alarm.source
            )
        self._windows += 1
        self._position_ns = window.time_ns
        if not self._source.replay:
            self._heard.append(window.time_ns)
        if self._keeper.add(found, alarms):
            if not self._keeper.flush(self._state()):
                self._copies.lost()
            self._source.kept(window.time_ns)  # or counted as lost
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
            if order.copy is None:
                self._log.info("order of the crew", order=order.kind, key=order.alert_key)
            match order.kind:
                case "acknowledge":
                    self._detector.acknowledge(order.alert_key)
                case "new_baseline":
                    self._detector.new_baseline()
                    self._judge.new_baseline()
                    self._extractor.new_baseline()
                    self._copies.begin_anew()
                case "take_over" if order.copy is not None:
                    self._take_over(order.copy)

    def _switch(self) -> None:
        """Take up the bundle that is in use now; its Judge inherits this machine's history."""
        bundle = self._bundles.get(self.machine.machine_class)
        if bundle is self._judge.bundle:
            return
        fresh = Judge(self.machine, bundle)
        fresh.load(self._judge.dump())
        self._judge = fresh
        self._log.info("model switched", bundle=bundle.name if bundle else "none")

    # --- what outlives this device --------------------------------------------------------------------------------

    @property
    def _learned(self) -> bool:
        """Whether the machine's healthy start is known; slow channels are a model's alone."""
        heard = any(c.kind is ChannelKind.WAVEFORM for c in self.machine.channels)
        return self._detector.learned if heard else self._judge.learned

    def _copy(self, window: Window) -> list[Record]:
        name = self.machine.name
        copy = pack(Copy(name, window.time_ns, {f"{p}/{name}": self._parts()[p].dump() for p in LEARNED}))
        if len(copy) > _LARGEST_COPY:
            self._log.warning("copy of what was learned too large to send", bytes=len(copy), most=_LARGEST_COPY)
            return []
        self._log.info("copy of what was learned goes to the cloud", bytes=len(copy), learned=self._learned)
        return [records.of_copy(window, copy)]

    def _take_over(self, copy: Copy) -> None:
        """Go on from a copy; one that is not understood, or had itself to learn, changes nothing."""
        if not self._copies.asking:
            self._log.info("copy of an earlier device not needed, learned already", made_ns=copy.made_ns)
            return
        before = {part: keeps.dump() for part, keeps in self._parts().items()}
        try:
            self._judge.load(copy.part("judge"))
            self._detector.take_over(copy.part("detector"))
            self._extractor.load(copy.part("extractor"))
            if not self._learned:
                raise ValueError("it was still learning")
        except (*_NOT_UNDERSTOOD, WrongUse) as e:
            for part, keeps in self._parts().items():
                keeps.load(before[part])
            self._log.error("copy of an earlier device not taken over, learning anew", reason=str(e))
        else:
            self._log.info("going on from what an earlier device had learned", made_ns=copy.made_ns)

    # --- what outlives a restart ----------------------------------------------------------------------------------

    def _parts(self) -> dict[str, Judge | Detector | Extractor]:
        """What has learned, by its name in the state."""
        return dict(zip(LEARNED, (self._judge, self._detector, self._extractor), strict=True))

    def _state(self) -> dict[str, bytes]:
        name = self.machine.name
        position = str(self._position_ns).encode() if self._position_ns is not None else b""
        return {
            **{f"{part}/{name}": keeps.dump() for part, keeps in self._parts().items()},
            f"copy/{name}": self._copies.state(),
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
        for part, keeps_state in self._parts().items():
            data = self._outbox.state(f"{part}/{name}")
            if data is None:
                continue
            try:
                keeps_state.load(data)
            except _NOT_UNDERSTOOD as e:
                keeps_state.new_baseline()
                self._log.error("state not understood, learning anew", part=part, reason=str(e))
