"""Each feature is what the textbook says, in every window length; shapes do not depend on units or neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.features import Extractor
from edge.sensors.replay import find_recordings
from edge.types import Channel, ChannelKind, Machine, Quality, Window
from models.features import WAVEFORM, schema_id
from tests.edge.features.conftest import BEARING, textbook

BANDS = [f"band{i}_rms@1" for i in range(1, 6)]


def machine_of(rate_hz: float = 25_600.0, unit: str = "g") -> Machine:
    channel = Channel(name="horizontal", kind=ChannelKind.WAVEFORM, unit=unit, rate_hz=rate_hz)
    return Machine(name="m", machine_class="bearing", channels=(channel,))


def features(machine: Machine, x: np.ndarray) -> dict[str, float]:
    window = Window(machine="m", time_ns=0, samples={machine.channels[0].name: x.astype(np.float32)})
    (row,) = Extractor(machine).extract(window)
    assert row.values.dtype == np.float32
    return dict(zip(row.schema.columns, row.values.tolist(), strict=True))


def assert_textbook(found: dict[str, float], expected: dict[str, float]) -> None:
    for name, value in found.items():
        tolerance = 2e-4 if name.startswith("skewness") else 1e-6 * expected["rms@1"]
        assert value == pytest.approx(expected[name], rel=5e-4, abs=tolerance), name


def ringing(n: int, seed: int) -> np.ndarray:
    """Noise, a slow tone, an offset and strikes: nothing symmetric."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n) + 0.7 * np.sin(0.13 * np.arange(n)) + 3.0
    strikes = np.zeros(n)
    strikes[:: max(n // 17, 8)] = 8.0
    response = np.exp(-np.arange(30) / 6.0) * np.sin(1.1 * np.arange(30))
    return x + np.convolve(strikes, response)[:n]


@pytest.mark.parametrize("n", [64, 65, 100, 999, 1000, 2560, 8192, 12_000])
@pytest.mark.parametrize("seed", range(3))
def test_every_feature_is_the_textbooks_at_any_window_length(n: int, seed: int) -> None:
    x = ringing(n, seed).astype(np.float32)
    assert_textbook(features(machine_of(), x), textbook(x, 25_600.0))


@pytest.mark.parametrize(("n", "rate_hz"), [(25_600, 25_600.0), (51_200, 25_600.0), (12_000, 12_000.0)])
def test_velocity_is_the_textbooks_where_the_window_holds_a_second(n: int, rate_hz: float) -> None:
    x = ringing(n, 5).astype(np.float32)
    found = features(machine_of(rate_hz), x)
    assert "velocity_rms@1" in found
    assert_textbook(found, textbook(x, rate_hz))


@pytest.mark.parametrize(
    ("n", "unit", "rate_hz"), [(25_599, "g", 25_600.0), (25_600, "V", 25_600.0), (1500, "g", 1500.0)]
)
def test_velocity_is_left_out_where_it_cannot_be_measured(n: int, unit: str, rate_hz: float) -> None:
    assert "velocity_rms@1" not in features(machine_of(rate_hz, unit), ringing(n, 1))


def test_velocity_of_a_tone_is_the_calibrators_10_mm_s() -> None:
    """A hand-held shaker: 10 m/s2 RMS at 159.155 Hz (1000 rad/s) is 10 mm/s."""
    x = 10.0 * np.sqrt(2) * np.sin(1000.0 * np.arange(51_200) / 25_600.0)
    assert features(machine_of(unit="m/s2"), x)["velocity_rms@1"] == pytest.approx(10.0, rel=1e-3)


@pytest.mark.parametrize(("n", "speed_rpm"), [(4097, 3600.0), (8192, 1800.0), (25_600, 1500.0)])
def test_bearing_lines_are_the_textbooks(make_machine, n: int, speed_rpm: float) -> None:
    x = ringing(n, 2).astype(np.float32)
    machine = make_machine(speed_rpm=speed_rpm, bearing=BEARING)
    found = features(machine, x)
    assert {"envelope_bpfo@1", "envelope_bpfi@1", "envelope_bsf@1"} <= set(found)
    assert_textbook(found, textbook(x, 25_600.0, speed_rpm))


@pytest.mark.parametrize("length", [2560, 25_600])
def test_real_windows_give_the_textbooks_features(recordings, length: int) -> None:
    (found,) = find_recordings([recordings / "pronostia" / "Bearing1_2_vib.parquet"])
    windows = [w.samples["horizontal"] for w in found.open().windows()]
    for start in (0, 400, 850):
        x = np.concatenate(windows[start : start + length // 2560])
        assert_textbook(features(machine_of(), x), textbook(x, 25_600.0))


def test_all_waveform_features_stand_first_and_in_the_catalogues_order() -> None:
    window = Window(machine="m", time_ns=0, samples={"horizontal": ringing(256, 0).astype(np.float32)})
    (row,) = Extractor(machine_of(unit="mm/s2")).extract(window)
    assert row.schema.columns == tuple(s.id for s in WAVEFORM)
    assert row.schema.id == schema_id(row.schema.columns)
    assert row.schema.units[:3] == ("mm/s2", "mm/s2", "1")


@settings(max_examples=60, deadline=None)
@given(n=st.integers(64, 700), seed=st.integers(0, 2**32 - 1), exponent=st.integers(-100, 100))
def test_units_change_amplitudes_in_proportion_and_shapes_not_at_all(n: int, seed: int, exponent: int) -> None:
    x = np.random.default_rng(seed).standard_normal(n).astype(np.float32)
    scale = 2.0**exponent
    one, other = features(machine_of(), x), features(machine_of(), x * np.float32(scale))
    for spec in WAVEFORM:
        factor = scale if spec.unit == "=" else 1.0
        assert other[spec.id] == pytest.approx(one[spec.id] * factor, rel=1e-3, abs=1e-5 * factor), spec.id


@settings(max_examples=60, deadline=None)
@given(n=st.integers(64, 3000), seed=st.integers(0, 2**32 - 1), tone=st.floats(0.01, 3.1))
def test_the_bands_share_out_the_whole_power(n: int, seed: int, tone: float) -> None:
    rng = np.random.default_rng(seed)
    found = features(machine_of(), 0.1 * rng.standard_normal(n) + np.sin(tone * np.arange(n)))
    assert sum(found[b] ** 2 for b in BANDS) == pytest.approx(found["rms@1"] ** 2, rel=1e-4)


@pytest.mark.parametrize(
    ("cycles", "band"), [(1000, 1), (513, 1), (512, 2), (257, 2), (256, 3), (129, 3), (128, 4), (64, 5), (1, 5)]
)
def test_a_tone_is_found_in_its_octave_and_nowhere_else(cycles: int, band: int) -> None:
    n = 2048  # Nyquist at 1024 cycles a window
    found = features(machine_of(), np.sin(2 * np.pi * cycles * np.arange(n) / n))
    assert found[f"band{band}_rms@1"] == pytest.approx(np.sqrt(0.5), rel=1e-4)
    assert all(found[b] < 1e-4 for b in BANDS if b != f"band{band}_rms@1")


@pytest.mark.parametrize("level", [0.0, 4.2, -1e9, 1e-40])
def test_a_dead_channel_gives_zeros_and_never_a_nan(level: float) -> None:
    found = features(machine_of(), np.full(2560, level))
    assert set(found.values()) == {0.0}, found


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_costs_only_its_own_channels_row(make_machine, bad: float) -> None:
    machine = make_machine(("horizontal", "vertical"))
    good = ringing(2560, 1).astype(np.float32)
    broken = good.copy()
    broken[1234] = bad
    rows = Extractor(machine).extract(Window(machine="m", time_ns=0, samples={"horizontal": broken, "vertical": good}))
    assert [r.channel for r in rows] == ["vertical"]
    assert_textbook(dict(zip(rows[0].schema.columns, rows[0].values.tolist(), strict=True)), textbook(good, 25_600.0))


@pytest.mark.parametrize("n", [0, 1, 63])
def test_a_window_too_short_for_a_spectrum_has_no_row(n: int) -> None:
    window = Window(machine="m", time_ns=0, samples={"horizontal": np.ones(n, np.float32)})
    assert Extractor(machine_of()).extract(window) == []


def test_channels_of_different_lengths_and_rates_go_together(make_machine) -> None:
    machine = Machine(
        name="m",
        machine_class="bearing",
        channels=(
            Channel(name="a", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25_600.0),
            Channel(name="b", kind=ChannelKind.WAVEFORM, unit="mm/s", rate_hz=4096.0),
            Channel(name="c", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25_600.0),
        ),
    )
    samples = {"c": ringing(2560, 1), "b": ringing(5000, 2), "a": ringing(2560, 3)}
    samples = {n: x.astype(np.float32) for n, x in samples.items()}
    rows = Extractor(machine).extract(Window(machine="m", time_ns=0, samples=samples))
    assert [r.channel for r in rows] == ["a", "b", "c"]
    for row, rate in zip(rows, (25_600.0, 4096.0, 25_600.0), strict=True):
        found = dict(zip(row.schema.columns, row.values.tolist(), strict=True))
        found.pop("velocity_rms@1", None)
        assert_textbook(found, textbook(samples[row.channel], rate))
    assert rows[1].schema.columns[-1] == "velocity_rms@1"


def test_a_neighbour_and_an_earlier_window_change_nothing(make_machine) -> None:
    x, y = ringing(2560, 1).astype(np.float32), ringing(2560, 2).astype(np.float32)
    alone = features(machine_of(), x)
    extractor = Extractor(make_machine(("horizontal", "vertical")))
    for _ in range(2):
        row, _ = extractor.extract(Window(machine="m", time_ns=0, samples={"horizontal": x, "vertical": y}))
        assert row.values.tolist() == pytest.approx(list(alone.values()), rel=1e-5)
    assert x.tolist() == ringing(2560, 1).astype(np.float32).tolist(), "the samples were written to"


def test_only_the_faulty_channel_is_marked_as_a_sensor_fault(make_machine) -> None:
    machine = make_machine(slow=True)
    window = Window(
        machine="m",
        time_ns=0,
        samples={"horizontal": ringing(256, 0).astype(np.float32), "temperature": np.array([20.0], np.float32)},
        quality=Quality.SENSOR_FAULT | Quality.SUSPECT_CLOCK,
        faulty=frozenset({"temperature"}),
    )
    qualities = {r.channel: r.quality for r in Extractor(machine).extract(window)}
    assert qualities["horizontal"] == Quality.SUSPECT_CLOCK
    assert qualities["temperature"] == Quality.SENSOR_FAULT | Quality.SUSPECT_CLOCK
