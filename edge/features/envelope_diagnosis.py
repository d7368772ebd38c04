"""How far each bearing line stands out of a long measurement: what a diagnosis is made of.

The signal's spectrum is set to a magnitude of 1 at every frequency (cepstral pre-whitening), which removes gears,
blades, resonances and the sensor's gain together: what is left of an impact train is its timing. Its squared envelope
shows a line and harmonics at the rate of the impacts. Each candidate's harmonics are compared with those of some
150 other rates *of the same record*, so a record that is rough everywhere accuses no part.

R. B. Randall & J. Antoni, Rolling element bearing diagnostics - a tutorial, MSSP 25 (2011);
P. Borghesani et al., Application of cepstrum pre-whitening, MSSP 36 (2013);
W. A. Smith & R. B. Randall, Rolling element bearing diagnostics using the CWRU data, MSSP 64-65 (2015), method 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.bearing.frequencies import fault_frequencies
from edge.types import Bearing, FloatArray
from models.robust import median

Array = NDArray[np.float64]
REVOLUTIONS = 64  # of the shaft in one transform: lines 1/64 of the shaft's rate apart
FEWEST_REVOLUTIONS = 16  # of 1,500 records of white noise of 12 revolutions 6 named a part, of 16 none
SLIP = 0.015  # rolling elements slip: a line is sought within 1.5 % of where geometry puts it
# A ball turns its damage in and out of the track, so its higher harmonics are the first to be smeared away.
HARMONICS = {"bpfo": 4, "bpfi": 4, "bsf": 2}
# What carries the damage through the load zone modulates its line; an outer ring stands still.
CARRIER = {"bpfi": "shaft", "bsf": "cage"}
_SHARING = (1, 2, 3, 4, 1 / 2, 1 / 3, 1 / 4, 2 / 3, 3 / 2, 3 / 4, 4 / 3)  # ratios of rates that share harmonics
_OTHERS = 150  # rates that the candidates are compared with
_RANGE = (0.6, 1.5)  # of the lowest and the highest candidate: where those other rates lie
_FLOOR_ORDERS = 8.0  # width of the running median that is the spectrum's floor, in multiples of the shaft's rate
_SPEED_ERROR = 0.003  # how far a shaft harmonic may lie from where the speed puts it
_LN2 = float(np.log(2.0))  # the median of an exponential distribution of mean 1
_SMALLEST = 1e-30


@dataclass(frozen=True, slots=True)
class FoundLine:
    """One bearing line; `prominence` is the mean over harmonics of ln(power over floor), less that of other rates."""

    line: str  # bpfo, bpfi, bsf
    expected_hz: float  # from geometry and speed; the ball strikes both races, so for bsf it is 2 x BSF
    found_hz: float  # where within the slip the harmonics agree best
    prominence: float  # about 0 +- 0.2 without a fault
    rival: float = 0.0  # the largest prominence of the other rates that have nothing to do with this one
    sidebands: float | None = None  # as `prominence`, of what lies beside the harmonics; None without a CARRIER


def segment_length(samples: int, rate_hz: float, speed_rpm: float) -> int | None:
    """Samples of one transform, given the longest unbroken stretch; None when it holds too few revolutions.

    At most 64 revolutions; rounded down by up to 3 %, so that the transforms stay cheap.
    """
    revolution = rate_hz * 60.0 / speed_rpm
    wanted = min(samples, int(REVOLUTIONS * revolution))
    wanted -= wanted % (1 << max(wanted.bit_length() - 6, 1))
    return wanted if wanted >= 0.97 * FEWEST_REVOLUTIONS * revolution else None


def candidates(bearing: Bearing, speed_rpm: float) -> dict[str, float]:
    """The rates at which a damaged outer race, inner race or ball is struck, in Hz."""
    hz = fault_frequencies(bearing, speed_rpm)
    return {"bpfo": hz["bpfo"], "bpfi": hz["bpfi"], "bsf": 2.0 * hz["bsf"]}


def found_lines(
    stretches: Sequence[FloatArray], rate_hz: float, bearing: Bearing, speed_rpm: float
) -> tuple[FoundLine, ...] | None:
    """The candidates in the order of HARMONICS; None when the samples are too few, too slow or not finite.

    `stretches` are (n,) unbroken runs of one channel at `rate_hz`, in any unit: only their shape counts.
    """
    shaft_hz = speed_rpm / 60.0
    expected = candidates(bearing, speed_rpm)
    most = max(HARMONICS.values())
    highest = _RANGE[1] * max(expected.values()) * most * (1.0 + SLIP)
    finite = [s for s in stretches if np.isfinite(s).all()]
    length = segment_length(max((s.size for s in finite), default=0), rate_hz, speed_rpm)
    if length is None or highest + _FLOOR_ORDERS * shaft_hz > rate_hz / 4:
        return None
    step = rate_hz / length
    power = squared_envelope_spectrum(finite, length)[: int((highest + _FLOOR_ORDERS * shaft_hz) / step)]
    level = _log_level(power, step, shaft_hz)
    lowest, largest = min(expected.values()), max(expected.values())
    others = np.linspace(_RANGE[0] * lowest, _RANGE[1] * largest, _OTHERS)
    carriers = {"shaft": shaft_hz, "cage": fault_frequencies(bearing, speed_rpm)["ftf"]}
    away = np.all([np.abs(others / hz - 1.0) > 2.5 * SLIP for hz in expected.values()], axis=0)
    found = []
    for line, hz in expected.items():
        (score,), (at,) = _comb(level, step, np.array([hz]), HARMONICS[line])
        around = _comb(level, step, others[away], HARMONICS[line])[0]
        usual = float(median(around))
        strange = around[~_related(others[away], float(at), shaft_hz)]
        rival = float(strange.max()) - usual if strange.size else 0.0
        sidebands = None
        if line in CARRIER:
            beside = _beside(level, step, np.array([at, *others[away]]), HARMONICS[line], carriers[CARRIER[line]])
            sidebands = float(beside[0]) - float(median(beside[1:]))
        found.append(FoundLine(line, hz, float(at), float(score) - usual, rival, sidebands))
    return tuple(found)


def _related(rates: Array, hz: float, shaft_hz: float) -> NDArray[np.bool_]:
    """Which rates share harmonics with `hz` or with its sidebands one shaft rate away."""
    ratios = np.concatenate([(rates[None] + shift * shaft_hz) / hz for shift in (-1, 0, 1)])
    ratios = ratios.reshape(3, 1, -1) / np.array(_SHARING)[None, :, None]
    close: NDArray[np.bool_] = (np.abs(ratios - 1.0) < 2.5 * SLIP).any(axis=(0, 1))
    return close


def squared_envelope_spectrum(stretches: Sequence[FloatArray], length: int) -> Array:
    """Mean power (length // 2 + 1,) of the pre-whitened squared envelope; Hann windows overlap by half."""
    window = np.hanning(length)
    total = np.zeros(length // 2 + 1)
    for stretch in stretches:
        for first in range(0, stretch.size - length + 1, length // 2):
            part = stretch[first : first + length].astype(np.float64)
            lines = np.fft.rfft(part - part.mean())
            lines[0] = 0.0
            analytic = np.zeros(length, dtype=np.complex128)
            analytic[: lines.size] = lines / (np.abs(lines) + _SMALLEST)
            envelope = np.abs(np.fft.ifft(analytic)) ** 2
            total += np.abs(np.fft.rfft((envelope - envelope.mean()) * window)) ** 2
    return total


def _log_level(power: Array, step_hz: float, shaft_hz: float) -> Array:
    """ln(power over its floor), 0 at least and at the shaft's harmonics, each line as high as its neighbours."""
    half = max(int(_FLOOR_ORDERS * shaft_hz / step_hz / 2), 8)
    centres = np.arange(0, power.size, half)
    floor = [median(power[max(0, c - half) : c + half + 1]) / _LN2 for c in centres]
    level = np.log(np.maximum(power / (np.interp(np.arange(power.size), centres, floor) + _SMALLEST), 1.0))
    hz = np.arange(power.size) * step_hz
    from_shaft = np.abs(hz - shaft_hz * np.round(hz / shaft_hz))
    level[from_shaft <= 2 * step_hz + _SPEED_ERROR * hz] = 0.0
    level[1:-1] = np.maximum(np.maximum(level[:-2], level[2:]), level[1:-1])
    return level


def _beside(level: Array, step_hz: float, rates: Array, harmonics: int, carrier_hz: float) -> Array:
    """(k,) rates -> the mean level one carrier's rate below and above each one's harmonics."""
    centres = rates[:, None] * np.arange(1, harmonics + 1)
    bins = np.rint(np.concatenate([centres - carrier_hz, centres + carrier_hz], axis=1) / step_hz).astype(np.intp)
    mean: Array = level[np.minimum(np.abs(bins), level.size - 1)].mean(axis=1)
    return mean


def _comb(level: Array, step_hz: float, rates: Array, harmonics: int) -> tuple[Array, Array]:
    """(k,) rates -> the mean level of each one's harmonics where within the slip it is highest, and that rate."""
    points = max(3, int(2 * SLIP * rates.max() * harmonics / step_hz) | 1)
    tried = rates[:, None] * np.linspace(1.0 - SLIP, 1.0 + SLIP, points)
    bins = np.rint(tried[:, :, None] * np.arange(1, harmonics + 1) / step_hz).astype(np.intp)
    score = level[np.minimum(bins, level.size - 1)].mean(axis=2)
    best = score.argmax(axis=1)
    rows = np.arange(rates.size)
    return score[rows, best], tried[rows, best]
