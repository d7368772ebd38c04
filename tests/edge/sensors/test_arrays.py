"""NumPy files as recordings."""

from __future__ import annotations

import numpy as np
import pytest

from edge.types import ChannelKind


def test_columns_are_channels_and_a_rate_beside_it_makes_windows(tmp_path, find):
    data = np.arange(20_000, dtype=np.int16).reshape(-1, 2)
    np.save(tmp_path / "pump.npy", data)
    (tmp_path / "pump.toml").write_text('rate_hz = 5000\nscale = 0.01\nunit = "g"\nwindow_samples = 4000\n')
    [recording], refused = find(tmp_path)
    assert not refused
    assert [(c.name, c.unit, c.rate_hz) for c in recording.machine.channels] == [
        ("channel 1", "g", 5000.0),
        ("channel 2", "g", 5000.0),
    ]
    windows = list(recording.open().windows())
    assert [w.samples["channel 2"].size for w in windows] == [4000, 4000]
    np.testing.assert_allclose(windows[1].samples["channel 2"], data[4000:8000, 1] * 0.01, rtol=1e-6)
    assert windows[1].time_ns - windows[0].time_ns == 800_000_000


def test_named_fields_and_arrays_are_channels_of_their_names(tmp_path, find):
    fields = np.zeros(9000, dtype=[("radial", "<f4"), ("axial", "<i2")])
    np.save(tmp_path / "a.npy", fields)
    (tmp_path / "a.toml").write_text("rate_hz = 1000\n")
    np.savez(tmp_path / "b.npz", radial=fields["radial"], fs=np.array(1000))
    found, refused = find(tmp_path)
    assert not refused
    assert [[c.name for c in r.machine.channels] for r in found] == [["radial", "axial"], ["radial"]]


def test_a_slow_clock_makes_a_window_a_row_and_dates_are_kept(tmp_path, find):
    at = np.datetime64("2024-05-01T00:00:00") + np.arange(5) * np.timedelta64(60, "s")
    np.savez(tmp_path / "p.npz", time=at, pressure=np.arange(5.0))
    [recording], refused = find(tmp_path)
    assert not refused
    assert recording.machine.channels[0].kind is ChannelKind.SCALAR
    windows = list(recording.open().windows())
    assert windows[0].time_ns == 1_714_521_600_000_000_000
    assert [w.samples["pressure"].tolist() for w in windows] == [[0], [1], [2], [3], [4]]
    assert windows[4].time_ns - windows[0].time_ns == 240_000_000_000


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": np.zeros(100), "b": np.zeros(99), "rate_hz": 10.0}, "not equally long"),
        ({"a": np.array([1.0, np.nan] * 9000), "rate_hz": 1000.0}, "a is empty"),
        ({"a": np.array(["x", "y"]), "rate_hz": 10.0}, "a holds <U1"),
        ({"a": np.array([object()]), "rate_hz": 10.0}, "Python objects"),
        ({"a": np.zeros((3, 3)), "rate_hz": 10.0}, "of shape"),
        ({"a": np.zeros(0), "rate_hz": 10.0}, "a is empty"),
        ({"a": np.zeros(9000), "rate_hz": -1.0}, "rate_hz is no rate"),
        ({"a": np.zeros(9000)}, "how fast it was sampled"),
        ({"rate_hz": 10.0}, "holds no measurement"),
        ({"a": np.zeros(3), "time": np.array([0.0, np.nan, 2.0])}, "neither dates nor seconds"),
        ({"a": np.zeros(3), "time": np.array(["2024", "NaT", "2025"], "datetime64[s]")}, "a time is missing"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(tmp_path, find, arrays, said):
    np.savez(tmp_path / "bad.npz", **arrays)
    good, [refused] = find(tmp_path)
    assert not good
    assert said in refused.what
    assert str(tmp_path / "bad.npz") in refused.where
    assert refused.mend


def test_a_pickle_is_never_loaded(tmp_path, find):
    (tmp_path / "evil.npy").write_bytes(b"\x80\x04cposix\nsystem\n(Vtouch pwned\ntR.")
    good, [refused] = find(tmp_path)
    assert not good
    assert "Python objects" in refused.what
