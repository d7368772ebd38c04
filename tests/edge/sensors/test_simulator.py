"""Simulated machines are deterministic, say that they are simulated, and show each fault where physics puts it."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from edge.bearing.frequencies import fault_frequencies
from edge.features import Extractor
from edge.sensors import RECORDING_START_NS
from edge.sensors.faults import FAULTS, severity
from edge.sensors.simulator import AXES, BEARING_6205, Simulator
from edge.types import Window
from models.errors import ConfigurationError


def life(fault: str, seed: int = 1, **options: object) -> list[Window]:
    options = {"life_s": 1000.0, "speed": None, **options}
    return list(islice(Simulator("s", seed, fault, **options).windows(), 100))


def feature(windows: list[Window], fault: str, name: str) -> np.ndarray:
    extractor = Extractor(Simulator("s", 1, fault, speed=None).machine)
    rows = [extractor.extract(w)[0] for w in windows]
    return np.array([r.values[r.schema.columns.index(name)] for r in rows])


@pytest.mark.parametrize("fault", FAULTS)
def test_one_seed_gives_the_same_windows_and_another_gives_others(fault: str) -> None:
    one, same, other = life(fault), life(fault), life(fault, seed=2)
    assert len(one) == 100
    for a, b in zip(one, same, strict=True):
        assert a.time_ns == b.time_ns
        assert all(np.array_equal(a.samples[c], b.samples[c]) for c in (*AXES, "temperature"))
    assert not np.array_equal(one[0].samples["horizontal"], other[0].samples["horizontal"])


def test_machines_of_one_seed_and_different_names_differ() -> None:
    a, b = (next(Simulator(n, 1, "none", speed=None).windows()) for n in ("a", "b"))
    assert not np.array_equal(a.samples["horizontal"], b.samples["horizontal"])


@pytest.mark.parametrize("fault", FAULTS)
def test_windows_are_finite_float32_of_the_stated_length_and_marked_simulated(fault: str) -> None:
    assert Simulator("s", 1, fault).machine.simulated
    for window in life(fault, samples=1000)[::20]:
        for axis in AXES:
            assert window.samples[axis].dtype == np.float32
            assert window.samples[axis].shape == (1000,)
        assert all(np.isfinite(v).all() for v in window.samples.values())


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "none"])
def test_a_fault_grows_from_nothing_to_many_times_the_healthy_level(fault: str) -> None:
    rms = feature(life(fault), fault, "rms@1")
    assert rms[-1] > 2.0 * np.median(rms[:30])
    assert rms[:30].max() < 1.3 * np.median(rms[:30])


def test_a_healthy_machine_stays_as_it_is_and_never_ends() -> None:
    simulator = Simulator("s", 3, "none", speed=None)
    assert simulator.life_windows is None
    assert simulator.failure_ns is None
    rms = feature(list(islice(simulator.windows(), 1500)), "none", "rms@1")
    assert rms.max() < 1.5 * np.median(rms)


def test_strikes_from_before_a_window_ring_into_it() -> None:
    shares = []
    for seed in range(5):
        windows = list(Simulator("s", seed, "outer_race", life_s=4000.0, speed=None, samples=1024).windows())[-150:]
        power = [w.samples["horizontal"] ** 2 for w in windows]
        shares.append(np.mean([p[:8].mean() / p.mean() for p in power]))
    assert np.mean(shares) > 0.85, "the first samples are as loud as the others"


@pytest.mark.parametrize(
    ("fault", "line"), [("outer_race", "bpfo"), ("inner_race", "bpfi"), ("ball", "bsf"), ("cage", "ftf")]
)
def test_a_bearing_fault_strikes_at_its_own_line(fault: str, line: str) -> None:
    """One long window at the end of life: the envelope's strongest line is the fault's."""
    window = life(fault, samples=51_200)[-1]
    x = window.samples["horizontal"].astype(float)
    spectrum = np.fft.fft(x)
    spectrum[np.abs(np.fft.fftfreq(x.size, 1 / 25_600.0)) < 1600] = 0
    spectrum[x.size // 2 :] = 0
    squared = np.abs(np.fft.ifft(spectrum)) ** 2
    lines = np.abs(np.fft.rfft(squared - squared.mean()))
    hz = np.fft.rfftfreq(x.size, 1 / 25_600.0)
    known = fault_frequencies(BEARING_6205, 1800.0)
    loudest = {n: lines[np.abs(hz - f) < 0.015 * f].max() for n, f in known.items()}
    assert max(loudest, key=loudest.__getitem__) == line, loudest


@pytest.mark.parametrize(("fault", "order"), [("unbalance", 1), ("misalignment", 2)])
def test_a_shaft_fault_stands_at_its_order(fault: str, order: int) -> None:
    x = life(fault, samples=25_600)[-1].samples["horizontal"]
    lines = np.abs(np.fft.rfft(x * np.hanning(x.size)))
    assert abs(int(lines.argmax()) - order * 30) <= 1


def test_a_failing_bearing_runs_hot() -> None:
    windows = list(Simulator("s", 1, "outer_race", life_s=20_000.0, speed=None).windows())
    degrees = np.array([np.median(w.samples["temperature"]) for w in windows])
    healthy = degrees[len(degrees) // 10 : len(degrees) // 3]
    assert degrees[-1] > healthy.max() + 3.0
    assert abs(np.diff(degrees)).max() < 1.0, "temperature follows, it does not jump"


def test_lives_are_random_per_seed_and_end_where_the_failure_is() -> None:
    lives = {Simulator("s", seed, "ball", speed=None).life_windows for seed in range(20)}
    assert len(lives) > 15
    assert all(w is not None and 200 < w < 4000 for w in lives)
    simulator = Simulator("s", 1, "ball", life_s=500.0, speed=None)
    windows = list(simulator.windows())
    assert len(windows) == simulator.life_windows == 50
    assert windows[0].time_ns == simulator.start_ns == RECORDING_START_NS
    assert simulator.failure_ns == windows[-1].time_ns + 10_000_000_000
    assert simulator.severity(49) == pytest.approx(1.0)


def test_in_real_time_the_events_are_now() -> None:
    simulator = Simulator("s", 1, "none", clock_ns=lambda: 42_000)
    assert next(simulator.windows()).time_ns == 42_000


def test_closing_ends_the_windows() -> None:
    simulator = Simulator("s", 1, "none", speed=None)
    windows = simulator.windows()
    next(windows)
    simulator.close()
    simulator.close()
    assert list(windows) == []


@pytest.mark.parametrize("onset", [0.0, 0.3, 0.69])
def test_severity_rises_without_a_step_from_0_to_1(onset: float) -> None:
    grown = np.array([severity(s, onset, 6.0) for s in np.linspace(0, 1, 2001)])
    assert (grown[0], grown[-1]) == (0.0, 1.0)
    assert np.diff(grown).min() >= 0.0
    assert np.diff(grown).max() < 0.02


@pytest.mark.parametrize(
    "wrong",
    [{"fault": "gremlins"}, {"life_s": 0.0}, {"every_s": 0.01}, {"every_s": -1.0}, {"seed": -1}, {"rate_hz": 0.0}],
)
def test_an_impossible_machine_is_refused_by_name(wrong: dict) -> None:
    with pytest.raises(ConfigurationError, match="simulator s"):
        Simulator("s", **wrong)
