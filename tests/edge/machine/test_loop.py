"""A machine's loop over the real parts: simulator, features, judge, detector and outbox."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import wire
from edge.carry.copy import unpack
from edge.config import RecordsConfig
from edge.detection import Detector
from edge.features import Extractor
from edge.machine.bundles import Bundles
from edge.machine.keeper import Keeper
from edge.machine.ledger import Ledger
from edge.machine.loop import MachineLoop, Order
from edge.outbox import Outbox
from edge.sensors.simulator import Simulator
from edge.sources import Source
from edge.types import Kind, Window
from models.errors import BundleRejected, Unavailable
from protos.forewarn.alert.v1 import alert_pb2
from protos.forewarn.telemetry.v1 import telemetry_pb2 as pb
from tests.edge.clocks import Clocks
from tests.models.making import make_parts


class Stepped:
    """A simulator that tells the test before each window, so that a test can act between two."""

    def __init__(self, inner: Simulator, before: dict[int, Callable[[], None]]) -> None:
        self.machine = inner.machine
        self._inner = inner
        self._before = before

    def resume(self, after_ns: int) -> None:
        self._inner.resume(after_ns)
        shift = (after_ns - self._inner.start_ns) // 10_000_000_000 + 1
        self._before = {i - shift: action for i, action in self._before.items()}

    def windows(self) -> Iterator[Window]:
        for i, window in enumerate(self._inner.windows()):
            if i in self._before:
                self._before[i]()
            yield window

    def close(self) -> None:
        self._inner.close()


class Clocked:
    """The same windows as a live source has them, dated by a device's clock, which goes on by 10 s for each."""

    def __init__(self, inner: Stepped, clocks: Clocks) -> None:
        self.machine = inner.machine
        self._inner = inner
        self._clocks = clocks

    def windows(self) -> Iterator[Window]:
        for window in self._inner.windows():
            self._clocks.go(10)
            yield replace(window, time_ns=int(self._clocks.wall_s * 1e9))

    def close(self) -> None:
        self._inner.close()


class Bench:
    """What a loop needs, and what became of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.bundles = Bundles()
        self.stopping = threading.Event()
        self.outbox = Outbox(folder / "outbox.sqlite", gap=wire.gap_parcel)
        self.loop: MachineLoop | None = None

    def run(
        self,
        windows: int,
        before: dict[int, Callable[[], None]] | None = None,
        *,
        fault: str = "outer_race",
        wait_for_bundle: bool = False,
        hurried: bool = True,
        records: RecordsConfig | None = None,
        life: int | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        """Run a new loop over this store for the first `windows` windows of the machine's life."""
        steps = dict(before or {})
        steps[windows] = self.stopping.set
        simulator = Simulator("P-101", 3, fault, None if fault == "none" else 10.0 * (life or windows), speed=None)
        sensor = Stepped(simulator, steps) if clocks is None else Clocked(Stepped(simulator, steps), clocks)
        replay = clocks is None
        ledger = Ledger(self.folder / "ledger.txt")
        keeper = Keeper(
            self.outbox,
            ledger,
            replay=replay,
            hurried=hurried,
            simulated=True,
            high_water_bytes=1 << 30,
            stopping=self.stopping,
        )
        self.loop = MachineLoop(
            Source(sensor, replay=replay, hurried=hurried),
            Extractor(sensor.machine),
            Detector(sensor.machine),
            keeper,
            self.outbox,
            self.bundles,
            records or RecordsConfig(),
            stopping=self.stopping,
            wait_for_bundle=wait_for_bundle,
            clock=clocks.device() if clocks else None,
        )
        self.loop.run()
        self.stopping.clear()
        ledger.close()

    def batches(self, kind: Kind) -> list[pb.Batch]:
        """What is kept of one kind."""
        return [wire.numbered(e) for e in self.outbox.read(0, 1 << 62, 1 << 30) if e.kind is kind]

    def count(self) -> Counter[Kind]:
        """Records kept, by kind."""
        counts: Counter[Kind] = Counter()
        for entry in [*self.outbox.read(0, 1 << 62, 1 << 30), *self.outbox.read_alerts(1 << 30)]:
            counts[entry.kind] += entry.last - entry.first + 1
        return counts

    def said(self) -> list[float]:
        """What the model said, row by row."""
        return [v for b in self.batches(Kind.ASSESSMENT) for v in np.frombuffer(b.values, "<f4").tolist()]

    def times(self, kind: Kind) -> list[int]:
        """Event times of one kind, in the order of their numbers."""
        return [t for b in self.batches(kind) for t in np.frombuffer(b.event_time, "<i8").tolist()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.outbox.close()


def bundle_file(folder: Path, name: str = "bearing-1") -> Path:
    file = folder / f"{name}.fwb"
    file.write_bytes(make_parts().with_manifest(name=name, machine_class="bearing").pack())
    return file


def test_every_window_is_kept_with_all_that_it_says(bench: Bench) -> None:
    bench.run(130, fault="none")
    count = bench.count()
    assert count[Kind.FEATURES] == 260
    assert count[Kind.SCALARS] == count[Kind.HEALTH] == 130
    assert count[Kind.SPECTRUM] == 6  # windows 0, 60 and 120, two axes
    assert not count[Kind.ALERT]


def test_a_fault_becomes_one_alarm_with_its_waveform_and_spectrum(bench: Bench) -> None:
    bench.run(400, records=RecordsConfig(spectrum_every_windows=0))
    count = bench.count()
    assert 1 <= count[Kind.ALERT] <= 3  # raised, worsened, perhaps back
    assert count[Kind.WAVEFORM] == count[Kind.SPECTRUM] == 2 * count[Kind.ALERT]
    batch = bench.batches(Kind.WAVEFORM)[0]
    assert batch.dtype == pb.DTYPE_INT16
    assert batch.width == 2560
    samples = np.frombuffer(batch.values, "<i2") * batch.scale
    assert 0.1 < np.abs(samples).max() < 100.0


def test_the_ledger_names_exactly_what_is_kept(bench: Bench) -> None:
    bench.run(100)
    lines = [line.split() for line in (bench.folder / "ledger.txt").read_text().splitlines()]
    numbered = sorted((int(first), int(count)) for _, first, count, _ in lines)
    entries = [*bench.outbox.read(0, 1 << 62, 1 << 30), *bench.outbox.read_alerts(1 << 30)]
    assert numbered == sorted((e.first, e.last - e.first + 1) for e in entries)
    assert {epoch for epoch, *_ in lines} == {str(bench.outbox.epoch)}


def test_a_restart_goes_on_with_the_next_window_and_what_was_learned(bench: Bench) -> None:
    bench.run(20, fault="none")
    bench.run(60, fault="none")
    times = bench.times(Kind.HEALTH)
    assert times == sorted(set(times))
    assert len(times) == 60
    said = [v for b in bench.batches(Kind.HEALTH) for v in np.frombuffer(b.values, "<f4").tolist()]
    assert not any(said[:29])  # learning, over the restart
    assert any(said[30:40])  # 20 windows before it and 10 after it make the healthy start


def test_a_model_that_arrives_speaks_from_the_next_window_on(bench: Bench) -> None:
    file = bundle_file(bench.folder)
    bench.run(60, {40: lambda: bench.bundles.load(file)})
    assert len(bench.times(Kind.ASSESSMENT)) == 20
    batch = bench.batches(Kind.ASSESSMENT)[0]
    assert batch.source == "bearing-1"
    assert batch.width == 4  # the machine's own healthy start was known: an estimate at once
    assert bench.times(Kind.ASSESSMENT)[0] == bench.times(Kind.HEALTH)[40]


def test_a_switch_between_models_leaves_no_window_without_one(bench: Bench) -> None:
    first, second = bundle_file(bench.folder, "bearing-1"), bundle_file(bench.folder, "bearing-2")
    bench.bundles.load(first)
    bench.run(60, {40: lambda: bench.bundles.load(second)}, wait_for_bundle=True)
    by_source = Counter()
    for batch in bench.batches(Kind.ASSESSMENT):
        by_source[batch.source] += batch.count
    assert by_source == {"bearing-1": 40, "bearing-2": 20}


def test_a_model_that_is_withdrawn_falls_silent_and_the_machine_is_watched_on(bench: Bench) -> None:
    bench.bundles.load(bundle_file(bench.folder))
    bench.run(60, {40: lambda: bench.bundles.withdraw("bearing")})
    assert len(bench.times(Kind.ASSESSMENT)) == 40
    assert len(bench.times(Kind.HEALTH)) == 60


def test_a_file_that_is_no_bundle_leaves_the_old_model(bench: Bench) -> None:
    bench.bundles.load(bundle_file(bench.folder))
    (bench.folder / "bad.fwb").write_bytes(b"no bundle")
    with pytest.raises(BundleRejected):
        bench.bundles.load(bench.folder / "bad.fwb")
    running = bench.bundles.get("bearing")
    assert running is not None
    assert running.name == "bearing-1"


def test_a_clock_that_jumps_is_flagged_on_each_record_and_changes_neither_order_nor_the_machines_age(
    bench: Bench,
) -> None:
    clocks, year_s = Clocks(), 365 * 86_400
    bench.bundles.load(bundle_file(bench.folder))

    def jump(seconds: float) -> Callable[[], None]:
        return lambda: setattr(clocks, "wall_s", clocks.wall_s + seconds)

    bench.run(80, {40: jump(year_s), 50: jump(-2 * year_s), 60: jump(year_s)}, fault="none", clocks=clocks)
    times = bench.times(Kind.HEALTH)
    jumps = [year_s * ((40 <= i < 50) - (50 <= i < 60)) for i in range(80)]
    assert [(t - times[0]) / 1e9 for t in times] == pytest.approx([10 * i + jumps[i] for i in range(80)])
    assert [q for b in bench.batches(Kind.HEALTH) for q in b.quality] == [int(bool(j)) for j in jumps]
    assert bench.outbox.state("clock") == f"{int(clocks.wall_s) // 60}".encode()
    undisturbed = Bench(bench.folder / "other")
    undisturbed.bundles.load(bundle_file(bench.folder))
    undisturbed.run(80, fault="none", clocks=Clocks())
    assert bench.said() == pytest.approx(undisturbed.said())
    undisturbed.outbox.close()


@pytest.mark.parametrize("jump_s", [0, 365 * 86_400])
def test_an_alarm_says_whether_the_clock_was_in_doubt(bench: Bench, jump_s: int) -> None:
    clocks = Clocks()
    bench.run(130, {50: lambda: setattr(clocks, "wall_s", clocks.wall_s + jump_s)}, clocks=clocks)
    raised = [alert_pb2.Alert.FromString(entry.blob) for entry in bench.outbox.read_alerts()]
    assert raised
    assert {alert.quality for alert in raised} == {int(bool(jump_s))}


def test_waiting_for_a_model_takes_no_window_before_it_is_there(bench: Bench) -> None:
    thread = threading.Thread(target=lambda: bench.run(50, wait_for_bundle=True))
    thread.start()
    bench.bundles.load(bundle_file(bench.folder))
    thread.join(20)
    assert len(bench.times(Kind.ASSESSMENT)) == len(bench.times(Kind.HEALTH)) == 50


def test_waiting_for_a_model_ends_when_the_agent_stops(bench: Bench) -> None:
    bench.stopping.set()
    bench.run(50, wait_for_bundle=True)
    assert bench.outbox.head == 0


def test_a_new_baseline_makes_the_machine_healthy_again(bench: Bench) -> None:
    """The repair of a machine: what was loud yesterday is the start of today."""

    def repair() -> None:
        assert bench.loop is not None
        bench.loop.order(Order("new_baseline"))

    bench.bundles.load(bundle_file(bench.folder))
    bench.run(380, {340: repair}, life=400)
    said = [v for b in bench.batches(Kind.HEALTH) for v in np.frombuffer(b.values, "<f4").tolist()]
    assert max(said[:340]) > 0
    assert said[341:365] == [0.0] * 24
    without_estimate = [b for b in bench.batches(Kind.ASSESSMENT) if b.width == 1]
    assert sum(b.count for b in without_estimate) == 29 + 29


def test_a_full_disk_does_not_stop_the_listening(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    append = bench.outbox.append

    def full(*arguments: object) -> object:
        raise Unavailable("the disk is full")

    def empty_again() -> None:
        monkeypatch.setattr(bench.outbox, "append", append)

    monkeypatch.setattr(bench.outbox, "append", full)
    bench.run(60, {30: empty_again}, hurried=False)
    assert len(bench.times(Kind.HEALTH)) == 30


def test_a_copy_that_found_no_room_goes_with_the_first_window_that_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = bench.outbox.append

    def full(*arguments: object) -> object:
        raise Unavailable("the disk is full")

    steps = {25: lambda: monkeypatch.setattr(bench.outbox, "append", full)}
    steps[35] = lambda: monkeypatch.setattr(bench.outbox, "append", append)
    bench.run(40, steps, fault="none", hurried=False, clocks=Clocks())
    assert bench.times(Kind.STATE) == bench.times(Kind.HEALTH)[25:26]  # window 35: those between were not kept
    (batch,) = bench.batches(Kind.STATE)
    (copy,) = unpack(batch.values)
    kept = {name: bench.outbox.state(name) for name in ("judge/P-101", "detector/P-101", "extractor/P-101")}
    assert copy.parts.keys() == kept.keys()
    assert copy.parts != kept  # of that window, not of the last one


def test_a_recording_sends_no_copies(bench: Bench) -> None:
    bench.run(40, fault="none", hurried=False)
    assert not bench.count()[Kind.STATE]


def test_state_that_is_not_understood_is_learned_anew(bench: Bench) -> None:
    bench.outbox.append([], {"judge/P-101": b"{}", "detector/P-101": b'{"channels": 5}'})
    bench.run(50, fault="none")
    assert len(bench.times(Kind.HEALTH)) == 50
