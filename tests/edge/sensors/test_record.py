"""What was recorded is replayed as it was heard."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from edge.sensors.record import record_all
from edge.sensors.replay import find_recordings
from edge.sensors.simulator import Simulator
from edge.sources import Source
from edge.types import Channel, ChannelKind, Machine, Quality, Window
from forewarn.commands.edge import edge
from models.errors import WrongUse


class Fixed:
    """A sensor of given windows."""

    def __init__(self, machine, windows):
        self.machine, self._windows = machine, windows

    def resume(self, after_ns):
        raise AssertionError("a recorder takes all that comes")

    def windows(self):
        return iter(self._windows)

    def close(self):
        pass


def source(sensor):
    return Source(sensor, replay=True, hurried=True)


def replayed(folder):
    (found,) = find_recordings([folder])
    return found, list(found.open().windows())


def test_a_replay_gives_the_same_windows_times_and_machine(tmp_path):
    make = lambda: Simulator("P-101", 3, life_s=300.0, speed=None, machine_class="pump", line="Hall 2")  # noqa: E731
    (recorder,) = record_all([source(make())], tmp_path, 30.0)
    found, windows = replayed(tmp_path)
    assert recorder.windows == found.count == 30
    assert found.machine == make().machine
    for window, original in zip(windows, make().windows(), strict=True):
        assert window.time_ns == original.time_ns
        assert window.samples.keys() == original.samples.keys()
        for name, samples in original.samples.items():
            np.testing.assert_array_equal(window.samples[name], samples)


def test_a_sensors_faults_are_kept_as_they_were(tmp_path):
    channels = tuple(Channel(name=n, kind=ChannelKind.WAVEFORM, unit="g", rate_hz=100.0) for n in "xy")
    x = np.array([1, np.nan, np.inf, -0.0], np.float32)
    windows = [
        Window(machine="P", time_ns=10**18, samples={"x": x}, quality=Quality.INCOMPLETE),
        Window(machine="P", time_ns=10**18 + 5, samples={"x": x, "y": x[:2]}),
    ]
    record_all([source(Fixed(Machine(name="P", machine_class="pump", channels=channels), windows))], tmp_path, 9.0)
    _, found = replayed(tmp_path)
    assert [w.quality for w in found] == [Quality.INCOMPLETE, Quality.GOOD]
    assert [w.time_ns for w in found] == [10**18, 10**18 + 5]
    assert [sorted(w.samples) for w in found] == [["x"], ["x", "y"]]
    np.testing.assert_array_equal(found[0].samples["x"], x)


def test_an_endless_machine_is_recorded_for_as_long_as_asked_and_never_over_another(tmp_path):
    config = tmp_path / "site.toml"
    config.write_text(
        'device = "e"\n[[machine]]\nname = "P-101"\nsource = { kind = "simulator", fault = "none", speed = 1000 }\n'
    )
    command = ["record", "--config", str(config), "--out", str(tmp_path / "raw"), "--seconds", "0.3"]
    done = CliRunner().invoke(edge, command)
    assert done.exit_code == 0, done.output
    assert "P-101.parquet" in done.output
    _, windows = replayed(tmp_path / "raw")
    assert 1 <= len(windows) <= 60
    with pytest.raises(WrongUse, match="there already"):
        CliRunner().invoke(edge, command, catch_exceptions=False)
