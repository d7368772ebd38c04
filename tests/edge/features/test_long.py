"""What needs more signal than a window holds is measured over a long one, and is absent where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features import Extractor, FeaturesConfig
from edge.features.kurtogram import Kurtogram
from edge.features.orders import order_amplitudes, revolutions_of_pulses, revolutions_of_speed, tracked_orders
from edge.sensors.replay import find_recordings
from edge.types import Channel, ChannelKind, Machine, Quality, Window
from models.features import KURTOGRAM, ORDER_RMS, ORDER_VELOCITY, TRACKED_ORDER, WAVEFORM
from tests.edge.features.conftest import kurtogram_bands, shaft_orders, textbook

RATE = 25_600.0
KURTOGRAM_IDS = {s.id for s in KURTOGRAM}
ORDER_IDS = {s.id for s in ORDER_VELOCITY}
TRACKED_IDS = {s.id for s in TRACKED_ORDER}


def windows_of(
    samples: dict[str, np.ndarray], rates: dict[str, float], *, every_s: float = 0.1, pause_s: float = 0.0
) -> Iterator[Window]:
    """The signals cut into windows of `every_s`, each `pause_s` after the end of the last."""
    count = int(min(x.size / rates[n] for n, x in samples.items()) / every_s + 1e-9)
    for i in range(count):
        parts = {n: x[round(i * every_s * rates[n]) : round((i + 1) * every_s * rates[n])] for n, x in samples.items()}
        time_ns = round(i * (every_s + pause_s) * 1e9)
        yield Window(machine="m", time_ns=time_ns, samples={n: x.astype(np.float32) for n, x in parts.items()})


def said(extractor: Extractor, window: Window, channel: str = "horizontal") -> dict[str, float]:
    rows = {r.channel: r for r in extractor.extract(window)}
    return dict(zip(rows[channel].schema.columns, rows[channel].values.tolist(), strict=True))


def noise(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    striking = (np.arange(n) % 997 == 0) * 12.0
    ringing = np.convolve(striking, np.exp(-np.arange(60) / 10.0) * np.sin(1.3 * np.arange(60)))[:n]
    return (rng.standard_normal(n) + 2 * np.sin(0.0074 * np.arange(n)) + ringing).astype(np.float32)


def test_windows_without_a_pause_are_joined_and_give_the_textbooks_velocity_and_orders(make_machine) -> None:
    x = noise(51_200)
    extractor = Extractor(make_machine(speed_rpm=1800.0))
    found = [said(extractor, w) for w in windows_of({"horizontal": x}, {"horizontal": RATE})]
    wide = [i for i, f in enumerate(found) if "velocity_rms@1" in f]
    assert wide == [9, 19], "a window of 0.1 s completes a second at the tenth and the twentieth"
    for i in wide:
        expected = textbook(x[(i - 9) * 2560 : (i + 1) * 2560], RATE, 1800.0)
        for name in ORDER_IDS | {"velocity_rms@1"}:
            assert found[i][name] == pytest.approx(expected[name], rel=1e-3), name


@pytest.mark.parametrize("pause_s", [9.9, 1 / RATE, -1 / RATE])
def test_windows_with_a_sample_missing_or_twice_between_them_are_not_joined(make_machine, pause_s: float) -> None:
    extractor = Extractor(make_machine(speed_rpm=1800.0))
    for window in windows_of({"horizontal": noise(51_200)}, {"horizontal": RATE}, pause_s=pause_s):
        assert set(said(extractor, window)) == {s.id for s in WAVEFORM}


def test_a_window_with_a_bad_sample_leaves_its_measurement_without_long_features(make_machine) -> None:
    x = noise(51_200)
    x[2560 * 4 + 7] = np.nan
    extractor = Extractor(make_machine())
    rows = [extractor.extract(w) for w in windows_of({"horizontal": x}, {"horizontal": RATE})]
    assert [len(r) for r in rows] == [1] * 4 + [0] + [1] * 15
    assert ["velocity_rms@1" in r[0].schema.columns for r in (rows[9], rows[19])] == [False, True]


def test_a_slow_shaft_gets_a_measurement_of_its_revolutions(make_machine) -> None:
    x = noise(4 * 25_600)
    extractor = Extractor(make_machine(speed_rpm=180.0))
    found = [said(extractor, w) for w in windows_of({"horizontal": x}, {"horizontal": RATE})]
    assert [i for i, f in enumerate(found) if set(f) >= ORDER_IDS] == [19, 39], "3 Hz: 6 revolutions take 2 s"


def test_the_kurtogram_has_a_cadence_of_its_own(make_machine) -> None:
    x = noise(25_600)
    extractor = Extractor(make_machine(), FeaturesConfig(kurtogram_every=3))
    times = [i * 10**10 for i in range(7)]
    found = [said(extractor, Window(machine="m", time_ns=t, samples={"horizontal": x})) for t in times]
    assert [set(f) >= KURTOGRAM_IDS for f in found] == [True, False, False, True, False, False, True]
    off = Extractor(make_machine(), FeaturesConfig(kurtogram_every=0))
    assert not KURTOGRAM_IDS & set(said(off, Window(machine="m", time_ns=0, samples={"horizontal": x})))


def test_without_speed_there_are_no_orders_and_without_a_velocity_they_keep_their_unit(make_machine) -> None:
    window = Window(machine="m", time_ns=0, samples={"horizontal": noise(25_600)})
    assert not [c for c in said(Extractor(make_machine()), window) if "order" in c]
    (row,) = Extractor(make_machine(speed_rpm=1800.0, unit="um")).extract(window)
    units = dict(zip(row.schema.columns, row.schema.units, strict=True))
    assert [units.get(s.id) for s in ORDER_RMS] == ["um"] * 3
    assert "velocity_rms@1" not in units


def test_an_unbalance_of_known_size_is_read_at_the_first_order(make_machine) -> None:
    """5 mm/s RMS at 1x and 2 mm/s at 2x, as acceleration in m/s2."""
    t = np.arange(51_200) / RATE
    w = 2 * np.pi * 24.7
    x = np.sqrt(2) * 1e-3 * (5 * w * np.sin(w * t + 0.3) + 2 * 2 * w * np.sin(2 * w * t))
    machine = make_machine(speed_rpm=1482.0, unit="m/s2")
    found = said(Extractor(machine), Window(machine="m", time_ns=0, samples={"horizontal": x.astype(np.float32)}))
    assert found["order1_velocity@1"] == pytest.approx(5.0, rel=2e-3)
    assert found["order2_velocity@1"] == pytest.approx(2.0, rel=2e-3)
    assert found["order3_velocity@1"] < 0.01


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2000, 30_000), seed=st.integers(0, 2**32 - 1), revolutions=st.floats(5.01, 60.0))
def test_orders_are_the_textbooks_at_any_length_and_speed(n: int, seed: int, revolutions: float) -> None:
    x = np.random.default_rng(seed).standard_normal(n) + 1.0
    shaft_hz = revolutions * RATE / n
    lines = np.fft.rfft(x - x.mean())[None]
    for unit in ("g", "V"):
        expected = shaft_orders(x, RATE, shaft_hz, to_velocity=unit == "g")
        assert order_amplitudes(lines, n, RATE, shaft_hz, unit)[0] == pytest.approx(expected, rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1000, 9000), seed=st.integers(0, 2**32 - 1))
def test_the_band_to_demodulate_is_the_textbooks_at_any_length(n: int, seed: int) -> None:
    x = noise(n, seed).astype(float)
    kurtosis, low, high = Kurtogram(n, RATE)(np.fft.rfft(x - x.mean())[None])[0]
    bands = kurtogram_bands(x, RATE)
    assert kurtosis == pytest.approx(max(bands.values()), rel=1e-3)
    (own,) = [v for (a, b), v in bands.items() if (a, b) == pytest.approx((low, high))]
    assert own == pytest.approx(max(bands.values()), rel=1e-6)


def test_strikes_are_found_in_the_band_where_they_ring(make_machine) -> None:
    rng = np.random.default_rng(4)
    n = 25_600
    strikes = np.zeros(n)
    strikes[::320] = 20.0
    t = np.arange(200) / RATE
    ringing = np.convolve(strikes, np.exp(-t * 1500) * np.sin(2 * np.pi * 6000 * t))[:n]
    x = (ringing + rng.standard_normal(n)).astype(np.float32)
    found = said(Extractor(make_machine()), Window(machine="m", time_ns=0, samples={"horizontal": x}))
    assert found["demodulation_low@1"] <= 6000 <= found["demodulation_high@1"]
    assert found["spectral_kurtosis@1"] > 1.0
    dead = Window(machine="m", time_ns=0, samples={"horizontal": np.full(n, 3.0, np.float32)})
    assert [said(Extractor(make_machine()), dead)[k] for k in KURTOGRAM_IDS] == [0.0] * 3


def test_recorded_windows_joined_give_the_textbooks_features(recordings) -> None:
    (recording,) = find_recordings([recordings / "pronostia" / "Bearing1_2_vib.parquet"])
    windows = [w.samples["horizontal"] for w in recording.open().windows()][400:410]
    x = np.concatenate(windows)
    assert x.size == 25_600
    channel = Channel(name="horizontal", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=RATE)
    extractor = Extractor(Machine(name="m", machine_class="bearing", channels=(channel,), speed_rpm=1800.0))
    found = [said(extractor, w) for w in windows_of({"horizontal": x}, {"horizontal": RATE})][-1]
    expected = textbook(x, RATE, 1800.0)
    for name in ORDER_IDS | KURTOGRAM_IDS | {"velocity_rms@1"}:
        assert found[name] == pytest.approx(expected[name], rel=1e-3), name


# --- where the speed varies ------------------------------------------------------------------------------------------


def run_up(seconds: float, shaft: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Times, and turns of the shaft, of a run whose speed in Hz is `shaft(t)`."""
    t = np.arange(round(seconds * RATE)) / RATE
    speed = shaft(t)
    return t, np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 / RATE)])


def machine_with(name: str, unit: str, kind: ChannelKind, rate_hz: float, speed_rpm: float | None = None) -> Machine:
    channels = (
        Channel(name="horizontal", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=RATE),
        Channel(name=name, kind=kind, unit=unit, rate_hz=rate_hz),
    )
    return Machine(name="m", machine_class="bearing", channels=channels, speed_rpm=speed_rpm)


@pytest.mark.parametrize("by", ["tacho", "speed"])
def test_orders_of_a_run_up_keep_their_size_though_their_lines_smear(by: str) -> None:
    t, turns = run_up(2.0, lambda t: 20.0 + 10.0 * t)
    x = np.sqrt(2) * (3 * np.sin(2 * np.pi * turns) + 0.5 * np.cos(2 * np.pi * 3 * turns + 1))
    x += 0.2 * np.random.default_rng(1).standard_normal(t.size)
    if by == "tacho":
        machine = machine_with("tacho", "pulse", ChannelKind.WAVEFORM, RATE, speed_rpm=1800.0)
        other, rate = 5.0 * (turns % 1.0 < 0.1), RATE
    else:
        machine = machine_with("speed", "rpm", ChannelKind.SCALAR, 10.0, speed_rpm=1800.0)
        other, rate = (20.0 + 10.0 * np.arange(20) / 10.0) * 60.0, 10.0
    name = machine.channels[1].name
    extractor = Extractor(machine, FeaturesConfig(long_seconds=2.0))
    windows = list(windows_of({"horizontal": x, name: other}, {"horizontal": RATE, name: rate}))
    found = [said(extractor, w) for w in windows][-1]
    amplitudes = [found[s.id] for s in TRACKED_ORDER]
    assert amplitudes == pytest.approx([3.0, 0.0, 0.5], rel=0.02, abs=0.02)
    assert not ORDER_IDS & set(found), "1800 rpm is what it is configured to, not what it turns at"
    assert "tacho" not in {r.channel for r in extractor.extract(windows[0])}, "a tachometer is no vibration"


@pytest.mark.parametrize("seed", range(3))
def test_tracked_orders_are_those_of_an_exact_resampling(seed: int) -> None:
    """The oracle: scipy's linear interpolators in both directions and a transform over the whole revolutions."""
    import scipy.interpolate

    rng = np.random.default_rng(seed)
    swing = rng.uniform(1, 6)
    t, turns = run_up(1.5, lambda t: 28.0 + swing * np.sin(2.0 * t))
    x = np.sin(2 * np.pi * turns + 0.4) + 0.3 * np.sin(4 * np.pi * turns) + 0.1 * np.sin(6 * np.pi * turns)
    x += 0.1 * rng.standard_normal(t.size)
    revolutions = int(turns[-1])
    points = 1 << 17
    angle = np.arange(points) * revolutions / points
    time = scipy.interpolate.interp1d(turns, t)(angle)
    even = scipy.interpolate.interp1d(t, x)(time)
    hann = np.hanning(points + 1)[:-1]
    lines = np.abs(np.fft.rfft((even - even.mean()) * hann)) * np.sqrt(2) / hann.sum()
    found = tracked_orders(x[None], RATE, (t, turns))
    assert found is not None
    assert found[0] == pytest.approx(lines[[revolutions, 2 * revolutions, 3 * revolutions]], rel=1e-3, abs=1e-4)


def test_pulses_are_counted_once_and_between_samples() -> None:
    t = np.arange(25_600) / RATE
    flanks = np.clip(2 * np.sin(2 * np.pi * 33.3 * t - 1.0), -1, 1)
    pulses = flanks + 0.03 * np.random.default_rng(0).standard_normal(t.size)
    found = revolutions_of_pulses(pulses.astype(np.float32), RATE)
    assert found is not None
    times, turns = found
    assert np.diff(times) == pytest.approx(1 / 33.3, rel=1e-2)
    assert turns.tolist() == list(range(34))


def test_a_shaft_that_stands_still_or_has_no_pulse_has_no_orders() -> None:
    assert revolutions_of_pulses(np.zeros(1000, np.float32), RATE) is None
    assert revolutions_of_speed(np.array([1800.0, 0.0, 1800.0], np.float32), 10.0) is None
    assert revolutions_of_speed(np.array([1800.0], np.float32), 10.0) is None
    few = (np.arange(2560) / RATE, np.arange(2560) / RATE * 30.0)
    assert tracked_orders(np.ones((1, 2560)), RATE, few) is None, "3 revolutions"


# --- temperature -----------------------------------------------------------------------------------------------------


def thermal_machine(*causes: str) -> Machine:
    names = {"temperature": "C", "load": "kW", "ambient": "C"}
    kept = [n for n in names if n == "temperature" or n in causes]
    channels = tuple(Channel(name=n, kind=ChannelKind.SCALAR, unit=names[n], rate_hz=1.0) for n in kept)
    return Machine(name="m", machine_class="bearing", channels=channels)


def thermal_window(i: int, hotter: float = 0.0, **causes: float) -> Window:
    rng = np.random.default_rng(i)
    values = {"load": rng.uniform(10, 50), "ambient": rng.uniform(15, 30)} | causes
    values["temperature"] = 20 + 0.6 * values["load"] + 0.9 * values["ambient"] + rng.normal(0, 0.2) + hotter
    return Window(machine="m", time_ns=i * 10**10, samples={n: np.array([v], np.float32) for n, v in values.items()})


def test_the_residual_is_what_load_and_ambient_do_not_explain_and_survives_a_restart() -> None:
    extractor = Extractor(thermal_machine("load", "ambient"))
    starts = [thermal_window(i) for i in range(60)]
    assert all("residual@1" not in said(extractor, w, "temperature") for w in starts)
    table = np.array([[w.samples[n][0] for n in ("temperature", "load", "ambient")] for w in starts], dtype=float)
    design = np.column_stack([np.ones(60), table[:, 1:]])
    weights = np.linalg.solve(design.T @ design, design.T @ table[:, 0])
    again = Extractor(thermal_machine("load", "ambient"))
    again.load(extractor.dump())
    for e in (extractor, again):
        window = thermal_window(77, hotter=8.0)
        now = [1.0, float(window.samples["load"][0]), float(window.samples["ambient"][0])]
        expected = float(window.samples["temperature"][0]) - weights @ now
        assert said(e, window, "temperature")["residual@1"] == pytest.approx(expected, rel=1e-3)
        assert expected == pytest.approx(8.0, abs=1.0)
        assert "residual@1" not in said(e, thermal_window(78, load=90.0), "temperature"), "a load never learned"
    again.new_baseline()
    assert "residual@1" not in said(again, thermal_window(79), "temperature")


def test_there_is_no_residual_without_a_cause_or_on_a_faulty_sensor() -> None:
    alone = Extractor(thermal_machine())
    for i in range(70):
        window = thermal_window(i)
        only = Window(machine="m", time_ns=window.time_ns, samples={"temperature": window.samples["temperature"]})
        assert "residual@1" not in said(alone, only, "temperature")
    extractor = Extractor(thermal_machine("load", "ambient"))
    for i in range(60):
        extractor.extract(thermal_window(i))
    good = thermal_window(99)
    bad = Window(
        machine="m",
        time_ns=good.time_ns,
        samples=good.samples,
        quality=Quality.SENSOR_FAULT,
        faulty=frozenset({"load"}),
    )
    assert "residual@1" not in said(extractor, bad, "temperature")


def test_the_features_documentation_is_the_catalogues(repository) -> None:
    """To mend it: `python -m edge.features.reference`, and paste."""
    from edge.features.reference import reference

    text = (repository / "docs" / "features.md").read_text()
    begin, end = "<!-- features: python -m edge.features.reference -->\n", "<!-- end of features -->"
    assert text.partition(begin)[2].partition(end)[0].strip() == reference().strip()
