"""The flight recorder: a ring under a quota, windows frozen around an alarm, whatever kills the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from edge.recorder import FlightConfig, FlightRecorder, Snapshots, export, overview
from edge.recorder.shelf import Shelf
from edge.sensors.formats.flightfile import Torn, pack, read_frames, unpack
from edge.sensors.replay import find_recordings
from edge.sensors.simulator import Simulator
from edge.types import Alarm, AlarmChange, Quality, Window
from models.errors import WrongUse

CONFIG = FlightConfig(quota_bytes=10_000_000, windows_before=5, windows_after=3, slice_seconds=60)
SIMULATOR = Simulator("P-101", 3, "none", speed=None, samples=512)
WINDOWS = list(islice(SIMULATOR.windows(), 60))


def alarm(window: Window, change: AlarmChange = AlarmChange.RAISED) -> Alarm:
    return Alarm(
        key="P-101/a-1",
        change=change,
        machine="P-101",
        channel="vertical",
        time_ns=window.time_ns,
        severity="C",
        confidence="sure",
        part="bearing",
        fault="outer_race",
        source="baseline",
        score=9.0,
        threshold=4.0,
    )


def recorder(store: Path, config: FlightConfig = CONFIG) -> FlightRecorder:
    return FlightRecorder(store / "flight" / "P-101", SIMULATOR.machine, config)


def files(store: Path, shelf: str) -> list[Path]:
    return sorted((store / "flight" / "P-101" / shelf).glob("*.fwr"))


def times(store: Path, shelf: str) -> list[int]:
    return [raw.time_ns for file in files(store, shelf) for raw in read_frames(file)]


def test_a_window_comes_back_as_it_was() -> None:
    window = unpack(pack(WINDOWS[0]), "P-101")
    assert window.time_ns == WINDOWS[0].time_ns
    for name, values in WINDOWS[0].samples.items():
        assert np.abs(window.samples[name] - values).max() <= np.abs(values).max() / 60_000


def test_samples_that_are_not_finite_come_back_exactly() -> None:
    bad = np.array([1.0, np.nan, np.inf, -3e30], np.float32)
    window = Window(
        machine="P-101",
        time_ns=5,
        samples={"a": bad, "none": bad[:0]},
        quality=Quality.SENSOR_FAULT,
        faulty=frozenset({"a"}),
    )
    back = unpack(pack(window), "P-101")
    np.testing.assert_array_equal(back.samples["a"], bad)
    assert back.samples["none"].size == 0
    assert (back.quality, back.faulty) == (window.quality, window.faulty)


def test_the_ring_keeps_the_newest_windows_and_never_more_than_its_quota(tmp_path: Path) -> None:
    config = FlightConfig(quota_bytes=60_000, slice_seconds=60)
    kept = recorder(tmp_path, config)
    for window in WINDOWS:
        kept.take(window, [])
        assert sum(f.stat().st_size for f in files(tmp_path, "ring")) <= 60_000
    found = times(tmp_path, "ring")
    assert found == [w.time_ns for w in WINDOWS][-len(found) :]
    assert 20 <= len(found) < 60


def test_the_windows_around_an_alarm_are_kept_apart_and_the_ring_cannot_overwrite_them(tmp_path: Path) -> None:
    config = FlightConfig(quota_bytes=40_000, windows_before=5, windows_after=3, slice_seconds=60)
    kept = recorder(tmp_path, config)
    for i, window in enumerate(WINDOWS):
        kept.take(window, [alarm(window)] if i == 10 else [])
    assert times(tmp_path, "frozen") == [w.time_ns for w in WINDOWS[5:14]]
    assert min(times(tmp_path, "ring")) > WINDOWS[14].time_ns
    (frozen,) = [k for k in overview(tmp_path) if k.frozen]
    assert (frozen.reason, frozen.windows) == ("P-101/a-1 raised C", 9)


def test_an_alarm_that_worsens_lengthens_what_is_frozen_and_one_that_returns_does_not(tmp_path: Path) -> None:
    kept = recorder(tmp_path)
    said = {10: AlarmChange.RAISED, 12: AlarmChange.WORSENED, 30: AlarmChange.RETURNED_TO_NORMAL}
    for i, window in enumerate(WINDOWS):
        kept.take(window, [alarm(window, said[i])] if i in said else [])
    assert times(tmp_path, "frozen") == [w.time_ns for w in WINDOWS[5:16]]
    assert len(files(tmp_path, "frozen")) == 1


def test_what_is_frozen_has_a_quota_of_its_own_and_the_oldest_alarm_goes_first(tmp_path: Path) -> None:
    one = len(pack(WINDOWS[0]).body)
    config = FlightConfig(
        quota_bytes=10_000_000, frozen_quota_bytes=25 * one, windows_before=5, windows_after=3, slice_seconds=60
    )
    kept = recorder(tmp_path, config)
    for i, window in enumerate(WINDOWS):
        kept.take(window, [alarm(window)] if i % 15 == 10 else [])
    found = times(tmp_path, "frozen")
    assert sum(f.stat().st_size for f in files(tmp_path, "frozen")) <= 25 * one
    assert found == [w.time_ns for i in (25, 40, 55) for w in WINDOWS[i - 5 : i + 4]][-len(found) :]
    assert found[-1] == WINDOWS[58].time_ns


def test_a_torn_end_is_dropped_with_one_line_and_the_rest_is_kept(tmp_path: Path) -> None:
    kept = recorder(tmp_path)
    for window in WINDOWS[:4]:
        kept.take(window, [])
    kept.close()
    newest = files(tmp_path, "ring")[-1]
    os.truncate(newest, newest.stat().st_size - 10)
    with pytest.raises(Torn):
        list(read_frames(newest))
    with capture_logs() as log:
        again = recorder(tmp_path)
    assert [e["event"] for e in log] == ["flight recorder: torn end dropped"]
    again.take(WINDOWS[4], [])
    assert times(tmp_path, "ring") == [w.time_ns for w in [*WINDOWS[:3], WINDOWS[4]]]


def test_a_file_torn_in_its_header_is_dropped(tmp_path: Path) -> None:
    shelf = tmp_path / "flight" / "P-101" / "ring"
    shelf.mkdir(parents=True)
    (shelf / "000000000001.fwr").write_bytes(b"FORW")
    with capture_logs() as log:
        Shelf(shelf, 1000)
    assert len(log) == 1
    assert files(tmp_path, "ring") == []


class FullDisk:
    """A file on a disk that has room for three bytes more."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        return self._file.write(data[:3])

    def close(self) -> None:
        self._file.close()


def test_a_full_disk_costs_the_recording_but_never_the_listening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = recorder(tmp_path, FlightConfig(quota_bytes=10_000_000, slice_seconds=1))
    kept.take(WINDOWS[0], [])
    opened = Path.open

    def full(self: Path, mode: str = "r", *arguments: Any, **more: Any) -> Any:
        file = opened(self, mode, *arguments, **more)
        return FullDisk(file) if mode == "xb" else file

    with capture_logs() as log:
        monkeypatch.setattr(Path, "open", full)
        for window in WINDOWS[1:5]:
            kept.take(window, [])
        monkeypatch.setattr(Path, "open", opened)
    assert [e["event"] for e in log] == ["flight recorder: not recorded, listening on"]
    kept.take(WINDOWS[5], [])
    assert times(tmp_path, "ring") == [WINDOWS[0].time_ns, WINDOWS[5].time_ns]


def test_what_a_killed_process_recorded_is_there_and_the_next_one_goes_on(tmp_path: Path, repository: Path) -> None:
    script = """
import sys
from pathlib import Path
from edge.recorder import FlightConfig, FlightRecorder
from edge.sensors.simulator import Simulator
s = Simulator("P-101", 3, "none", speed=None, samples=512)
kept = FlightRecorder(Path(sys.argv[1]), s.machine, FlightConfig(quota_bytes=200_000, slice_seconds=60))
for i, window in enumerate(s.windows()):
    kept.take(window, [])
    print(window.time_ns, flush=True)
"""
    folder = tmp_path / "flight" / "P-101"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True, cwd=repository
    )
    assert process.stdout is not None
    said = [int(line) for line in islice(process.stdout, 300)]
    process.send_signal(signal.SIGKILL)
    said += [int(line) for line in process.stdout if line.endswith("\n")]
    process.wait(10)
    again = recorder(tmp_path)  # mends a torn end, if the kill left one
    again.take(WINDOWS[0], [])
    found = times(tmp_path, "ring")[:-1]
    assert said[-1] in found[-2:]
    assert found == list(range(found[0], found[-1] + 1, 10_000_000_000))
    assert len(found) > 20


def test_an_export_is_a_recording_with_the_same_windows_at_the_same_times(tmp_path: Path) -> None:
    kept = recorder(tmp_path)
    for i, window in enumerate(WINDOWS):
        kept.take(window, [alarm(window)] if i == 10 else [])
    (done,) = export(tmp_path, tmp_path / "out")
    assert (done.windows, done.left_out) == (60, 0)
    (recording,) = find_recordings([tmp_path / "out"])
    assert recording.machine == SIMULATOR.machine
    replayed = list(recording.open().windows())
    assert [w.time_ns for w in replayed] == [w.time_ns for w in WINDOWS]
    first, again = WINDOWS[7].samples["vertical"], replayed[7].samples["vertical"]
    assert np.abs(first - again).max() < 1e-3 * np.abs(first).max()
    (only,) = export(tmp_path, tmp_path / "frozen", frozen_only=True)
    assert only.windows == 9


def test_an_export_never_overwrites_and_says_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no flight recorder"):
        export(tmp_path, tmp_path / "out")
    recorder(tmp_path).take(WINDOWS[0], [])
    export(tmp_path, tmp_path / "out")
    with pytest.raises(WrongUse, match="there already"):
        export(tmp_path, tmp_path / "out")
    with pytest.raises(WrongUse, match="no such window"):
        export(tmp_path, tmp_path / "other", only=["P-9"])


def test_a_torn_export_is_refused_by_the_replay_with_what_to_do(tmp_path: Path) -> None:
    recorder(tmp_path).take(WINDOWS[0], [])
    (done,) = export(tmp_path, tmp_path / "out")
    os.truncate(done.file, done.file.stat().st_size - 1)
    (refused,) = find_recordings([done.file])
    assert "cut short" in str(refused)


def test_a_snapshot_is_due_once_a_period_also_over_a_restart() -> None:
    hourly = Snapshots(1.0)
    due = []
    for i in range(1000):
        window = Window(machine="P-101", time_ns=i * 10_000_000_000, samples={})
        if hourly.due(window):
            due.append(i)
        if i == 400:
            state, hourly = hourly.dump(), Snapshots(1.0)
            hourly.load(state)
    assert due == [360, 720]
    assert not Snapshots(0.0).due(window)
