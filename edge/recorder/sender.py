"""Sends the flight recorder's raw windows of a time when the crew asks, a few at a time, in a thread of its own.

Invariants
- An order is kept before it is begun. A handful of windows and the note that they are sent are kept in one transaction:
  after a restart it goes on, and nothing is sent twice for one order.
- It waits while the outbox is a quarter full: raw windows never push other records out.
- An order sends at most 60 windows and 8 MB, those nearest to the middle of its time; the rest is counted and logged.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from edge import records, wire
from edge.machine.ledger import Ledger
from edge.monitoring.meter import Meter
from edge.outbox import Outbox
from edge.recorder.found import Place, held, load, nearest
from edge.types import Record
from edge.updater import Command
from models.errors import Unavailable

MOST_WINDOWS = 60
MOST_SAMPLES = 4 << 20  # of two bytes
_AT_ONCE = 4  # windows in one transaction
_REMEMBERED = 64  # orders, so that one that is heard again is not begun again
_WAIT_STEP_S = 0.5
_JOIN_S = 5.0
_STATE = "flight-orders"
_log = structlog.get_logger()


class Asked(msgspec.Struct, frozen=True):
    """One order, and how far it got."""

    id: str
    machine: str
    from_ns: int
    to_ns: int
    sent: tuple[int, ...] = ()  # event times
    done: bool = False


class FlightSender:
    """Carries out orders one after another, the oldest first."""

    def __init__(
        self,
        outbox: Outbox,
        folder: Path,
        machines: Mapping[str, bool],
        *,
        quota_bytes: int,
        ledger: Ledger | None = None,
        meter: Meter | None = None,
    ) -> None:
        """`folder` holds a flight recorder for each machine; `machines` says which of them replay a recording."""
        self._outbox = outbox
        self._folder = folder
        self._machines = machines
        self._high_water = quota_bytes // 4
        self._ledger = ledger or Ledger(None)
        self._meter = meter or Meter()
        self._heard: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._orders: dict[str, Asked] = {}
        self._thread = threading.Thread(target=self._run, name="flight sender", daemon=True)

    def ask(self, command: Command) -> None:
        """Take an order of the crew; from any thread, at once. One that was heard before changes nothing."""
        self._heard.put(Asked(command.id, command.machine, command.from_ns, command.to_ns))

    def start(self) -> None:
        """Go on with what an earlier run began, then do what is asked."""
        self._thread.start()

    def close(self) -> None:
        """Stop within moments; what is not sent goes on at the next start."""
        self._stopping.set()
        self._heard.put(None)
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        self._restore()
        for order in [o for o in self._orders.values() if not o.done]:
            self._try(order)
        while not self._stopping.is_set():
            asked = self._heard.get()
            if asked is not None and asked.id not in self._orders:
                self._try(asked)

    def _restore(self) -> None:
        try:
            known = msgspec.json.decode(self._outbox.state(_STATE) or b"[]", type=list[Asked])
        except msgspec.DecodeError as e:
            _log.error("state not understood, beginning anew", part="flight orders", reason=str(e))
            return
        self._orders = {order.id: order for order in known}

    def _try(self, order: Asked) -> None:
        """Carry out one order; what fails is said, and never ends the thread."""
        try:
            self._keep(order, [])
            self._send(order)
        except (Unavailable, OSError) as e:
            _log.error("raw windows not sent, the next start tries again", order=order.id, reason=str(e))

    def _send(self, order: Asked) -> None:
        known = order.machine in self._machines  # else the name is no folder of ours
        there = held(self._folder / order.machine, order.from_ns, order.to_ns) if known else []
        middle_ns = (order.from_ns + order.to_ns) // 2
        chosen = nearest(there, middle_ns, most=MOST_WINDOWS, most_samples=MOST_SAMPLES)
        left = [p for p in chosen if p.time_ns not in order.sent][: MOST_WINDOWS - len(order.sent)]
        for at in range(0, len(left), _AT_ONCE):
            if not self._room():
                return
            order = self._send_few(order, left[at : at + _AT_ONCE])
        self._keep(msgspec.structs.replace(order, done=True), [])
        self._say(order, left_out=max(len(there) - len(order.sent), 0))

    def _send_few(self, order: Asked, places: Sequence[Place]) -> Asked:
        found: list[Record] = []
        times = list(order.sent)
        for machine, window in load(places, order.machine):
            pieces = records.raw(machine, window, source=f"flight/{order.id}")
            found += pieces
            times += [window.time_ns] if pieces else []
        order = msgspec.structs.replace(order, sent=tuple(times))
        self._keep(order, found)
        return order

    def _room(self) -> bool:
        """Wait until the outbox has room; False when it is time to stop."""
        while not self._stopping.is_set():
            if self._outbox.wait_below(self._high_water, _WAIT_STEP_S):
                return True
        return False

    def _keep(self, order: Asked, found: list[Record]) -> None:
        orders = self._orders | {order.id: order}
        newest = dict(list(orders.items())[-_REMEMBERED:])
        parcels = wire.pack(found, replay=self._machines.get(order.machine, False))
        kept = self._outbox.append(parcels, {_STATE: msgspec.json.encode(list(newest.values()))})
        self._orders = newest
        self._ledger.note(kept, parcels)

    def _say(self, order: Asked, *, left_out: int) -> None:
        self._meter.add("flight_windows_total", len(order.sent), result="sent")
        self._meter.add("flight_windows_total", left_out, result="left_out")
        said = _log.bind(order=order.id, machine=order.machine, from_ns=order.from_ns, to_ns=order.to_ns)
        if order.sent:
            said.info("raw windows kept for sending", windows=len(order.sent), left_out=left_out)
        else:
            said.warning("raw windows asked for, none is held of that time", left_out=left_out)
