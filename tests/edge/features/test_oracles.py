"""Every feature id has an oracle: a second implementation in float64, mostly scipy's, in windows of any length.

The tolerance is 1e-3 of the value, or 1e-5 of its scale. A case says which ids it covers and fails when
one of them did not come; the first test fails when an id of the catalogue is covered by no case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.signal
import scipy.stats

from edge.detection import DetectionConfig, Detector
from edge.features import Extractor
from edge.features.envelope_diagnosis import HARMONICS, SLIP, found_lines
from edge.features.lines import profile
from edge.sensors.replay import find_recordings
from edge.types import Channel, ChannelKind, Machine, Window
from models import features as catalogue
from tests.edge.features.conftest import BEARING, shaft_orders, textbook

RATE, RPM = 25_600.0, 1800.0
LENGTHS = (64, 65, 100, 999, 1000, 2560, 2561, 2563, 4001, 4096, 8191, 12_000, 25_600, 39_999, 40_000)
LONG_LENGTHS = tuple(n for n in LENGTHS if n >= RATE)


@dataclass(frozen=True)
class Compared:
    """One feature of one window beside its oracle; `scale` is what 1e-5 is taken of."""

    id: str
    found: float
    expected: float
    scale: float


def ids(*families: tuple[catalogue.FeatureSpec, ...]) -> frozenset[str]:
    return frozenset(s.id for family in families for s in family)


def ringing(n: int, seed: int) -> np.ndarray:
    """Noise, shaft orders, an offset and strikes: nothing symmetric."""
    rng = np.random.default_rng(seed)
    turns = np.arange(n) * RPM / 60.0 / RATE
    x = rng.standard_normal(n) + 3.0 + sum(np.sin(2 * np.pi * h * turns + h) / h for h in (1, 2, 3))
    strikes = np.zeros(n)
    strikes[:: max(n // 17, 8)] = 8.0
    return (x + np.convolve(strikes, np.exp(-np.arange(30) / 6.0) * np.sin(1.1 * np.arange(30)))[:n]).astype(np.float32)


def machine_of(unit: str = "g", **known: object) -> Machine:
    channel = Channel(name="x", kind=ChannelKind.WAVEFORM, unit=unit, rate_hz=RATE)
    return Machine(name="m", machine_class="bearing", channels=(channel,), **known)


def row_of(extractor: Extractor, time_ns: int = 0, channel: str = "x", **samples: np.ndarray) -> dict[str, float]:
    window = Window(machine="m", time_ns=time_ns, samples={n: np.asarray(x, np.float32) for n, x in samples.items()})
    rows = {r.channel: r for r in extractor.extract(window)}
    return dict(zip(rows[channel].schema.columns, rows[channel].values.tolist(), strict=True))


def scale_of(feature: str, x: np.ndarray) -> float:
    """An amplitude's scale is the RMS, a frequency's the Nyquist, a third moment's its absolute third moment."""
    y = x.astype(np.float64) - x.mean(dtype=np.float64)
    unit = catalogue.CATALOGUE[feature].unit
    if feature == "skewness@1":
        return float(np.mean(np.abs(y) ** 3) / y.std() ** 3)
    return float(y.std()) if unit == "=" else RATE / 2 if unit == "Hz" else 1.0


def compared(found: dict[str, float], expected: dict[str, float], x: np.ndarray) -> Iterator[Compared]:
    for feature, value in found.items():
        yield Compared(feature, value, expected[feature], scale_of(feature, x))


# --- the cases -------------------------------------------------------------------------------------------------------


def windows() -> Iterator[Compared]:
    for seed, n in enumerate(LENGTHS):
        x = ringing(n, seed)
        found = row_of(Extractor(machine_of(speed_rpm=RPM, bearing=BEARING)), x=x)
        yield from compared(found, textbook(x, RATE, RPM), x)


def recorded(recordings) -> Iterator[Compared]:
    (recording,) = find_recordings([recordings / "pronostia" / "Bearing1_2_vib.parquet"])
    whole = np.concatenate([w.samples["horizontal"] for w in recording.open().windows()][400:425])
    for n in LENGTHS:
        x = whole[-n:]
        found = row_of(Extractor(machine_of(speed_rpm=RPM, bearing=BEARING)), x=x)
        yield from compared(found, textbook(x, RATE, RPM), x)


def orders_without_a_velocity() -> Iterator[Compared]:
    for seed, n in enumerate(LONG_LENGTHS):
        x = ringing(n, seed)
        found = row_of(Extractor(machine_of(unit="A", speed_rpm=RPM)), x=x)
        expected = dict(zip(sorted(ids(catalogue.ORDER_RMS)), shaft_orders(x, RATE, RPM / 60, False), strict=True))
        yield from compared({f: found[f] for f in expected}, expected, x)


def tracked_orders() -> Iterator[Compared]:
    """Scipy's linear interpolators in both directions, and a transform over the whole revolutions."""
    speed = Channel(name="speed", kind=ChannelKind.SCALAR, unit="rpm", rate_hz=10.0)
    machine = machine_of()
    extractor = Extractor(Machine(name="m", machine_class="bearing", channels=(*machine.channels, speed)))
    for seed, n in enumerate(LONG_LENGTHS):
        rpm = (RPM * (1.0 + 0.05 * np.sin(np.arange(np.ceil(10 * n / RATE) + 1)))).astype(np.float32)
        times = np.arange(rpm.size) / 10.0
        turns = scipy.integrate.cumulative_trapezoid(rpm.astype(np.float64) / 60.0, times, initial=0.0)
        t = np.arange(n) / RATE
        at = scipy.interpolate.interp1d(times, turns)(t)
        x = sum(np.sin(2 * np.pi * h * at + h) / h for h in (1, 2, 3)) + 0.1 * ringing(n, seed)
        points, whole = 1 << 17, int(at[-1])
        even = scipy.interpolate.interp1d(t, x)(
            scipy.interpolate.interp1d(turns, times)(np.arange(points) * whole / points)
        )
        hann = scipy.signal.get_window("hann", points)
        lines = np.abs(np.fft.rfft((even - even.mean()) * hann)) * np.sqrt(2) / hann.sum()
        expected = {f: lines[(h + 1) * whole] for h, f in enumerate(sorted(ids(catalogue.TRACKED_ORDER)))}
        found = row_of(extractor, seed * 10**12, x=x, speed=rpm)
        yield from compared({f: found[f] for f in expected}, expected, x)


def slow_channels() -> Iterator[Compared]:
    channels = (
        Channel(name="temperature", kind=ChannelKind.SCALAR, unit="C", rate_hz=1.0),
        Channel(name="load", kind=ChannelKind.SCALAR, unit="kW", rate_hz=1.0),
    )
    extractor = Extractor(Machine(name="m", machine_class="bearing", channels=channels))
    rng = np.random.default_rng(4)
    levels: list[tuple[float, float, float]] = []
    for i in range(120):
        load = rng.uniform(10.0, 50.0, 3).astype(np.float32)
        hot = (20.0 + 0.05 * i + 0.6 * np.median(load) + rng.normal(0.0, 0.5, 10)).astype(np.float32)
        levels.append((7.0 * i, float(scipy.stats.scoreatpercentile(hot, 50)), float(np.median(load))))
        found = row_of(extractor, i * 7 * 10**9, "temperature", temperature=hot, load=load)
        t, level, cause = np.array(levels).T
        recent = t >= t[-1] - 600.0
        slope = scipy.stats.linregress(t[recent], level[recent]).slope * 60.0 if i >= 2 else 0.0
        yield Compared("level@1", found["level@1"], level[-1], 1.0)
        yield Compared("rate@1", found["rate@1"], slope, 1.0)
        if "residual@1" in found:
            fit = scipy.stats.linregress(cause[:60], level[:60])
            yield Compared("residual@1", found["residual@1"], level[-1] - fit.intercept - fit.slope * cause[-1], 1.0)


def diagnosis() -> Iterator[Compared]:
    for seed, n in enumerate((27_400, 39_999, 54_613, 60_001)):
        x = ringing(n, seed)
        for band, (value, by_scipy) in enumerate(zip(profile(x), profile_by_scipy(x), strict=True), start=1):
            yield Compared(f"profile{band}@1", value, by_scipy, 1.0)
        found = found_lines([x], RATE, BEARING, RPM)
        assert found is not None
        expected = lines_by_definition(x.astype(np.float64), {f.line: f.expected_hz for f in found})
        for f in found:
            prominence, hz, rival, sidebands = expected[f.line]
            yield Compared(f"rival_{f.line}@1", f.rival, rival, 1.0)
            yield Compared(f"prominence_{f.line}@1", f.prominence, prominence, 1.0)
            yield Compared(f"frequency_{f.line}@1", f.found_hz, hz, 1.0)
            if f.line != "bpfo":
                assert f.sidebands is not None
                yield Compared(f"sideband_{f.line}@1", f.sidebands, sidebands, 1.0)


def profile_by_scipy(x: np.ndarray) -> np.ndarray:
    window = scipy.signal.get_window("hann", x.size, fftbins=False)
    power = scipy.signal.periodogram(x.astype(np.float64), RATE, window=window, detrend="constant")[1]
    power = power[: int(0.8 * power.size)]
    edges = np.linspace(1, power.size, 9).astype(int)
    logs = np.log([power[a:b].sum() for a, b in pairwise(edges)])
    return logs - logs.mean()


def lines_by_definition(x: np.ndarray, expected_hz: dict[str, float]) -> dict[str, tuple[float, float, float, float]]:
    """Prominence, frequency, rival and sidebands of each line, by loops: whitening, squared envelope, floor, combs."""
    shaft = RPM / 60.0
    n = min(x.size, int(64 * RATE / shaft))
    n -= n % (1 << (n.bit_length() - 6))
    power = np.zeros(n // 2 + 1)
    for first in range(0, x.size - n + 1, n // 2):
        lines = np.fft.rfft(x[first : first + n], n)
        lines[0] = 0.0
        lines[1:] /= np.abs(lines[1:])
        lines[-1] *= 2.0  # twice in the analytic signal below, once in scipy's
        envelope = np.abs(scipy.signal.hilbert(np.fft.irfft(lines, n))) ** 2
        window = scipy.signal.get_window("hann", n, fftbins=False)
        power += scipy.signal.periodogram(envelope, RATE, window=window, detrend="constant")[1]
    power[0] *= 2.0  # scipy's one-sided spectrum has every line twice but this one
    step = RATE / n
    most = max(HARMONICS.values())
    end = int((1.5 * max(expected_hz.values()) * most * (1 + SLIP) + 8 * shaft) / step)
    power = power[:end]
    half = max(int(4 * shaft / step), 8)
    centres = list(range(0, end, half))
    medians = [np.median(power[max(0, c - half) : c + half + 1]) / np.log(2.0) for c in centres]
    level = np.log(np.maximum(power / np.interp(range(end), centres, medians), 1.0))
    for i in range(end):
        if abs(i * step - shaft * np.round(i * step / shaft)) <= 2 * step + 0.003 * i * step:
            level[i] = 0.0
    level = np.concatenate([level[:1], [level[i - 1 : i + 2].max() for i in range(1, end - 1)], level[-1:]])

    def comb(hz: float, harmonics: int, highest: float) -> tuple[float, float]:
        points = max(3, int(2 * SLIP * highest * harmonics / step) | 1)
        tried = (hz * np.linspace(1 - SLIP, 1 + SLIP, points)).tolist()
        scores = [np.mean([level[min(round(h * f / step), end - 1)] for h in range(1, harmonics + 1)]) for f in tried]
        return max(scores), tried[int(np.argmax(scores))]

    def beside(hz: float, harmonics: int, carrier: float) -> float:
        sides = [h * hz + side for h in range(1, harmonics + 1) for side in (-carrier, carrier)]
        return float(np.mean([level[min(abs(round(side / step)), end - 1)] for side in sides]))

    cage = shaft / 2 * (1 - BEARING.ball_diameter / BEARING.pitch_diameter)
    others = np.linspace(0.6 * min(expected_hz.values()), 1.5 * max(expected_hz.values()), 150)
    others = [f for f in others if all(abs(f / hz - 1) > 2.5 * SLIP for hz in expected_hz.values())]
    found = {}
    for line, hz in expected_hz.items():
        score, at = comb(hz, HARMONICS[line], hz)
        around = [comb(f, HARMONICS[line], max(others))[0] for f in others]
        strange = [a for a, f in zip(around, others, strict=True) if not related(f / at, shaft / at)]
        usual = np.median(around)
        carrier = cage if line == "bsf" else shaft
        sidebands = beside(at, HARMONICS[line], carrier) - np.median(
            [beside(f, HARMONICS[line], carrier) for f in others]
        )
        found[line] = (float(score - usual), at, float(max(strange) - usual) if strange else 0.0, float(sidebands))
    return found


def related(ratio: float, shaft: float) -> bool:
    """Whether a rate shares harmonics with a line or with its sidebands; both in units of the line's rate."""
    shared = {a / b for a in (1, 2, 3, 4) for b in (1, 2, 3, 4) if 1 in (a, b) or abs(a - b) == 1}
    return any(abs((ratio + k * shaft) / r - 1.0) < 2.5 * SLIP for k in (-1, 0, 1) for r in shared)


def deviation() -> Iterator[Compared]:
    """Healthy start, robust z, slow averages, agreement and level: the definition, one channel, in plain Python."""
    config = DetectionConfig()
    rng = np.random.default_rng(5)
    extractor, detector = Extractor(machine_of()), Detector(machine_of())
    agreeing = sorted(ids(catalogue.WAVEFORM) - {"skewness@1", "centroid@1"})
    logs: list[np.ndarray] = []
    z = np.zeros(len(agreeing))
    for i in range(60):
        x = (ringing(512, i) * (1.0 + 0.01 * i * (i > 40)) * np.exp(0.1 * rng.standard_normal())).astype(np.float32)
        window = Window(machine="m", time_ns=i * 10**10, samples={"x": x})
        found, _ = detector.update(window, extractor.extract(window))
        logs.append(np.log([textbook(x, RATE)[f] for f in agreeing]))
        if i < config.baseline_windows:
            continue
        start = np.array(logs[: config.baseline_windows])
        spread = scipy.stats.median_abs_deviation(start, axis=0) * 1.4826
        scale = np.maximum(spread, config.smallest_scale)
        now = (logs[-1] - np.median(start, axis=0)) / scale
        z = z + np.clip(now - z, -10.0, 10.0) / config.smoothing_windows
        agreement = np.median(z)
        level = max((z * scale)[agreeing.index(f)] for f in ("rms@1", "band5_rms@1")) * 5.0 / np.log(4.5 / 0.71)
        yield Compared("deviation@1", found, max(agreement, level, (agreement + level) / np.sqrt(2.0)), 100.0)


CASES: dict[str, tuple[Callable[..., Iterator[Compared]], frozenset[str]]] = {
    "windows": (
        windows,
        ids(catalogue.WAVEFORM, catalogue.BEARING, catalogue.VELOCITY, catalogue.ORDER_VELOCITY, catalogue.KURTOGRAM),
    ),
    "orders": (orders_without_a_velocity, ids(catalogue.ORDER_RMS)),
    "tracked": (tracked_orders, ids(catalogue.TRACKED_ORDER)),
    "slow": (slow_channels, ids(catalogue.SCALAR, catalogue.RESIDUAL)),
    "diagnosis": (diagnosis, ids(catalogue.DIAGNOSED, catalogue.FREQUENCY, catalogue.SIDEBAND)),
    "deviation": (deviation, ids(catalogue.HEALTH)),
}


def assert_alike(found: list[Compared]) -> None:
    for c in found:
        assert c.found == pytest.approx(c.expected, rel=1e-3, abs=1e-5 * c.scale), c.id


def test_every_feature_has_an_oracle() -> None:
    """What a model says is no feature of ours: a bundle's golden vectors are its oracle, on every device."""
    covered = frozenset().union(*(covers for _, covers in CASES.values()))
    assert covered == set(catalogue.CATALOGUE) - ids(catalogue.ASSESSMENT)


@pytest.mark.parametrize("case", CASES)
def test_each_feature_is_its_oracles(case: str) -> None:
    compare, covers = CASES[case]
    found = list(compare())
    assert {c.id for c in found} == covers
    assert_alike(found)


def test_each_feature_of_recorded_windows_is_its_oracles(recordings) -> None:
    found = list(recorded(recordings))
    assert {c.id for c in found} == CASES["windows"][1]
    assert_alike(found)
