"""Raw windows on request: from the recorder's files into the outbox, bounded, each once, whatever kills the device."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from edge import wire
from edge.monitoring.meter import Meter
from edge.outbox import Outbox, Parcel
from edge.recorder import FlightRecorder
from edge.recorder import sender as flightsender
from edge.recorder.found import held, nearest
from edge.recorder.sender import FlightSender
from edge.types import Kind, Window
from edge.updater import Command
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from tests.edge.recorder.test_recorder import CONFIG, SIMULATOR, WINDOWS, alarm

QUOTA = 1 << 24
STEP_NS = WINDOWS[1].time_ns - WINDOWS[0].time_ns


class Killed(BaseException):
    """As a power cut ends a thread: nothing after it is done."""


class Device:
    """A store with a flight recorder's files; its process may end at any commit and begin again."""

    def __init__(self, store: Path, windows: list[Window] = WINDOWS) -> None:
        self.store = store
        recorder = FlightRecorder(store / "flight" / "P-101", SIMULATOR.machine, CONFIG)
        for i, window in enumerate(windows):
            recorder.take(window, [alarm(window)] if i == len(windows) // 2 else [])
        recorder.close()
        self.meter = Meter()
        self.begin()

    def begin(self) -> None:
        self.outbox = Outbox(self.store / "outbox.sqlite", gap=wire.gap_parcel, quota_bytes=QUOTA)
        self.sender = FlightSender(
            self.outbox, self.store / "flight", {"P-101": True}, quota_bytes=QUOTA, meter=self.meter
        )

    def ask(self, from_ns: int, to_ns: int, number: str = "7", machine: str = "P-101") -> None:
        self.sender.ask(Command(id=number, kind="send_flight", machine=machine, from_ns=from_ns, to_ns=to_ns))

    def run(self) -> None:
        """In the test's thread, until what is asked is done."""
        self.sender._heard.put(None)
        self.sender._stopping.clear()
        self.sender._restore()
        for order in [o for o in self.sender._orders.values() if not o.done]:
            self.sender._try(order)
        while (asked := self.sender._heard.get_nowait()) is not None:
            if asked.id not in self.sender._orders:
                self.sender._try(asked)

    def sent(self) -> list[pb.Batch]:
        entries = self.outbox.read(0, 1 << 62, 1 << 30)
        return [wire.numbered(e) for e in entries if e.kind is Kind.WAVEFORM]

    def times(self) -> Counter[tuple[str, int]]:
        """How often each channel's window is kept for sending."""
        found: Counter[tuple[str, int]] = Counter()
        for batch in self.sent():
            for point, at in zip(
                np.frombuffer(batch.point, "<u2"), np.frombuffer(batch.event_time, "<i8"), strict=True
            ):
                found[batch.points[point].channel, int(at)] += 1
        return found


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def both(windows: list[Window]) -> dict[tuple[str, int], int]:
    """Both axes of these windows, each once; slow channels are sent with every window anyway."""
    return {(name, w.time_ns): 1 for w in windows for name in ("horizontal", "vertical")}


def until(ready: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_windows_of_a_time_are_kept_for_sending_as_they_were_recorded(device: Device) -> None:
    first, last = WINDOWS[20], WINDOWS[39]
    device.ask(first.time_ns, last.time_ns)
    device.run()
    assert device.times() == both(WINDOWS[20:40])
    recorded = {w.time_ns: w for w in WINDOWS}
    for batch in device.sent():
        assert batch.source == "flight/7"
        (at,) = np.frombuffer(batch.event_time, "<i8").tolist()
        said = np.frombuffer(batch.values, "<i2") * batch.scale
        true = recorded[at].samples[batch.points[0].channel]
        assert np.abs(said - true).max() <= batch.scale * 0.51  # what was recorded has this step, too
    assert 'forewarn_flight_windows_total{result="sent"} 20' in device.meter.text()


def test_a_device_that_is_killed_at_any_commit_goes_on_and_sends_nothing_twice(tmp_path: Path) -> None:
    asked = (WINDOWS[20].time_ns, WINDOWS[39].time_ns)
    for commit in range(1, 8):
        for before in (True, False):
            device = Device(tmp_path / f"{commit}-{before}")
            kill_at(device, commit, before=before)
            device.ask(*asked)
            with pytest.raises(Killed):
                device.run()
            device.outbox.close()
            device.begin()
            device.ask(*asked)  # heard once more, or for the first time where nothing was kept
            device.run()
            assert device.times() == both(WINDOWS[20:40]), (commit, before)
            device.outbox.close()


def kill_at(device: Device, commit: int, *, before: bool) -> None:
    append = device.outbox.append
    calls = 0

    def dying(parcels: list[Parcel], state: dict[str, bytes]) -> object:
        nonlocal calls
        calls += 1
        kept = None if before and calls == commit else append(parcels, state)
        if calls == commit:
            raise Killed
        return kept

    device.outbox.append = dying  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    ("machine", "shift"), [("P-101", 10**6), ("../P-101", 0), ("P-102", 0)], ids=["too late", "a path", "not ours"]
)
def test_what_is_not_held_is_said(device: Device, machine: str, shift: int) -> None:
    device.ask(WINDOWS[0].time_ns + shift * STEP_NS, WINDOWS[-1].time_ns + shift * STEP_NS, machine=machine)
    with capture_logs() as log:
        device.run()
    assert [e["event"] for e in log] == ["raw windows asked for, none is held of that time"]
    assert device.sent() == []


def test_too_much_is_asked_for_and_what_is_nearest_to_the_middle_is_sent(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flightsender, "MOST_WINDOWS", 11)
    device.ask(WINDOWS[0].time_ns, WINDOWS[-1].time_ns)
    with capture_logs() as log:
        device.run()
    assert device.times() == both(WINDOWS[24:35])
    assert (log[-1]["windows"], log[-1]["left_out"]) == (11, len(WINDOWS) - 11)
    assert f'forewarn_flight_windows_total{{result="left_out"}} {len(WINDOWS) - 11}' in device.meter.text()


def test_the_bytes_of_an_order_are_bounded_too(device: Device) -> None:
    there = held(device.store / "flight" / "P-101", 0, 1 << 62)
    assert len(there) == len(WINDOWS)
    middle = WINDOWS[30].time_ns
    chosen = nearest(there, middle, most=60, most_samples=3 * there[0].samples)
    assert [p.time_ns for p in chosen] == [w.time_ns for w in WINDOWS[29:32]]


def test_it_waits_for_room_in_the_outbox_and_holds_nobody_up(device: Device) -> None:
    device.outbox.append([Parcel(Kind.FEATURES, 1, bytes(QUOTA // 3))])
    device.sender.start()
    device.ask(WINDOWS[0].time_ns, WINDOWS[9].time_ns)
    until(lambda: device.outbox.state("flight-orders") is not None)
    assert device.sent() == []
    device.outbox.stored(device.outbox.epoch, [(1, 1)])
    until(lambda: device.times() == both(WINDOWS[:10]))
    device.sender.close()
    assert not device.sender._thread.is_alive()


def test_it_stops_while_it_waits_for_room(device: Device) -> None:
    device.outbox.append([Parcel(Kind.FEATURES, 1, bytes(QUOTA // 3))])
    device.sender.start()
    device.ask(WINDOWS[0].time_ns, WINDOWS[9].time_ns)
    until(lambda: device.outbox.state("flight-orders") is not None)
    device.sender.close()
    assert not device.sender._thread.is_alive()


def test_windows_are_found_in_the_ring_as_it_moves_on_and_after_a_clock_that_jumped(tmp_path: Path) -> None:
    later = [*WINDOWS[30:], *WINDOWS[:30]]  # set back in between: the files are not in the order of time
    device = Device(tmp_path, later)
    folder = device.store / "flight" / "P-101"
    for begin in range(0, 60, 7):
        asked = WINDOWS[begin : begin + 7]
        there = held(folder, asked[0].time_ns, asked[-1].time_ns)
        assert [p.time_ns for p in there] == [w.time_ns for w in asked]
    for file in (folder / "ring").iterdir():
        file.unlink()
    frozen = held(folder, 0, 1 << 62)
    assert 0 < len(frozen) <= CONFIG.windows_before + 1 + CONFIG.windows_after
