"""The catalogue of features: ids that edge, lake and models share.

An id is `name@definition`: a changed computation is a new id, so old data is never misread. The computations live in
`edge.features`, and only there; this file says what each id means.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b


class Deviation(enum.Enum):
    """How far a value is from its machine's own baseline: a scale, or a shape."""

    RATIO = "ratio"  # amplitudes: log(value / baseline), free of the sensor's gain
    DIFFERENCE = "difference"  # dimensionless shapes and temperatures: value - baseline


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature: its id, its unit (`=` stands for the channel's own), what it is, and where it is defined."""

    id: str
    unit: str
    deviation: Deviation
    meaning: str
    source: str
    needs: str = "any window of 64 samples"
    absent: str = "a sample is not finite"


def schema_id(columns: Sequence[str]) -> int:
    """The 64-bit name of an ordered list of columns: BLAKE2b-64 of the ids joined by newlines, little-endian."""
    return int.from_bytes(blake2b("\n".join(columns).encode(), digest_size=8).digest(), "little")


_R, _D = Deviation.RATIO, Deviation.DIFFERENCE
_RANDALL = "R. B. Randall, Vibration-based Condition Monitoring, 2nd ed. 2021"

# A window without variation has zeros throughout. Each window's mean is removed, no window function is applied.
WAVEFORM = (
    FeatureSpec("rms@1", "=", _R, "root mean square of the window, mean removed", "ISO 2041"),
    FeatureSpec("peak@1", "=", _R, "largest absolute value, mean removed", "ISO 2041"),
    FeatureSpec("crest@1", "1", _D, "peak over RMS", "ISO 2041"),
    FeatureSpec("kurtosis@1", "1", _D, "fourth standardised moment, 3 for a Gaussian", _RANDALL),
    FeatureSpec("skewness@1", "1", _D, "third standardised moment", _RANDALL),
    FeatureSpec("shape@1", "1", _D, "RMS over mean absolute value", _RANDALL),
    FeatureSpec("band1_rms@1", "=", _R, "RMS above 1/2 of the Nyquist frequency, up to it", _RANDALL),
    FeatureSpec("band2_rms@1", "=", _R, "RMS above 1/4 of the Nyquist frequency, up to 1/2", _RANDALL),
    FeatureSpec("band3_rms@1", "=", _R, "RMS above 1/8 of the Nyquist frequency, up to 1/4", _RANDALL),
    FeatureSpec("band4_rms@1", "=", _R, "RMS above 1/16 of the Nyquist frequency, up to 1/8", _RANDALL),
    FeatureSpec("band5_rms@1", "=", _R, "RMS above 0, up to 1/16 of the Nyquist frequency", _RANDALL),
    FeatureSpec("centroid@1", "Hz", _R, "power-weighted mean frequency", _RANDALL),
    FeatureSpec(
        "envelope_rms@1",
        "=",
        _R,
        "standard deviation, at half the sampling rate, of the envelope of the band above 1/8 of Nyquist",
        _RANDALL,
    ),
)
# Present only where speed and geometry are known (bearing) or the window is long enough (velocity).
BEARING = tuple(
    FeatureSpec(
        f"envelope_{line}@1",
        "1",
        _R,
        f"largest squared-envelope amplitude within 2 % of {line.upper()}, mean with harmonics 2 and 3, "
        "over the median of that spectrum up to 1/8 of Nyquist",
        _RANDALL,
        "speed, bearing geometry, a window of 4 periods of the line",
        "geometry or speed is unknown, or its channel says nothing, a standstill or a change of over 2 % in the "
        "window; the window cannot tell the line from the shaft or another line",
    )
    for line in ("bpfo", "bpfi", "bsf", "ftf")
)
VELOCITY = (
    FeatureSpec(
        "velocity_rms@1",
        "mm/s",
        _R,
        "RMS of the vibration velocity from 10 to 1000 Hz, Hann window",
        "ISO 20816-1",
        "1 s in one window, or joined from windows without a pause between them; acceleration or velocity; 2 kHz",
        "the schedule leaves pauses and its windows are shorter than 1 s; the channel's unit is another",
    ),
)
# The features below come from a long measurement: see edge.features.joined for how it is put together.
_LONG = "a long measurement"
_ORDER_ABSENT = "speed is unknown, or was measured more than 2 % from the configured one; fewer than 5 revolutions"
ORDER_VELOCITY = tuple(
    FeatureSpec(
        f"order{h}_velocity@1",
        "mm/s",
        _R,
        f"velocity RMS within 2 % and 2 lines of {h} x the shaft's frequency, Hann window",
        "ISO 13373-3",
        f"{_LONG}, speed, acceleration or velocity",
        _ORDER_ABSENT + "; the channel's unit is another",
    )
    for h in (1, 2, 3)
)
ORDER_RMS = tuple(
    FeatureSpec(
        f"order{h}_rms@1",
        "=",
        _R,
        f"RMS within 2 % and 2 lines of {h} x the shaft's frequency, Hann window",
        "ISO 13373-3",
        f"{_LONG}, speed, a unit without a velocity",
        _ORDER_ABSENT + "; the channel has a velocity",
    )
    for h in (1, 2, 3)
)
TRACKED_ORDER = tuple(
    FeatureSpec(
        f"tracked_order{h}_rms@1",
        "=",
        _R,
        f"RMS of {h} x the shaft's turning in the signal resampled at equal angles, whole revolutions, Hann window",
        "K. R. Fyfe & E. D. S. Munck, Analysis of computed order tracking, MSSP 11(2), 1997",
        f"{_LONG}, a tachometer (unit `pulse`, one a revolution) or a speed channel (unit `rpm`)",
        "no such channel, it stood still or had gaps; fewer than 5 revolutions",
    )
    for h in (1, 2, 3)
)
_ANTONI = "J. Antoni, Fast computation of the kurtogram, MSSP 21(1), 2007"
_KURTOGRAM_ABSENT = "the measurement is shorter, or it is not this measurement's turn"
KURTOGRAM = (
    FeatureSpec(
        "spectral_kurtosis@1",
        "1",
        _D,
        "largest <|c|^4>/<|c|^2>^2 - 2 of the analytic signal c of a band, over the bands of 1/4, 1/8, 1/16 and 1/32 "
        "of Nyquist that do not begin at zero and hold a millionth of the power; 0 without such a band",
        _ANTONI,
        f"{_LONG} whose turn it is",
        _KURTOGRAM_ABSENT,
    ),
    FeatureSpec(
        "demodulation_low@1",
        "Hz",
        _D,
        "lower edge of that band: the one to demodulate",
        _ANTONI,
        f"{_LONG} whose turn it is",
        _KURTOGRAM_ABSENT,
    ),
    FeatureSpec(
        "demodulation_high@1",
        "Hz",
        _D,
        "upper edge of that band",
        _ANTONI,
        f"{_LONG} whose turn it is",
        _KURTOGRAM_ABSENT,
    ),
)
_SCALAR_NEEDS = ("a finite sample in the window", "no sample is finite")
SCALAR = (
    FeatureSpec("level@1", "=", _D, "median of the samples since the last window", "ISO 13373-1", *_SCALAR_NEEDS),
    FeatureSpec(
        "rate@1",
        "=/min",
        _D,
        "least-squares slope of the level over the last 10 minutes, 0 before three levels",
        "ISO 13373-1",
        *_SCALAR_NEEDS,
    ),
)
RESIDUAL = (
    FeatureSpec(
        "residual@1",
        "=",
        _D,
        "level less what load and ambient explain, by least squares over the first 60 windows that have them all",
        "ISO 13381-1",
        "a temperature channel (unit `C`), and a channel with `load` or `ambient` in its name",
        "no such channel; the start is being learned; load or ambient lies outside what was learned by over 20 %",
    ),
)
_MODEL = ("a model", "the model gives no estimate")
ASSESSMENT = (
    FeatureSpec("degradation@1", "1", _D, "0 as new to 1 failed", "ISO 13381-1", *_MODEL),
    FeatureSpec("rul_p05@1", "s", _D, "remaining useful life, 5 % quantile", "ISO 13381-1", *_MODEL),
    FeatureSpec("rul_p50@1", "s", _D, "remaining useful life, median", "ISO 13381-1", *_MODEL),
    FeatureSpec("rul_p95@1", "s", _D, "remaining useful life, 95 % quantile", "ISO 13381-1", *_MODEL),
)
HEALTH = (
    FeatureSpec(
        "deviation@1",
        "1",
        _D,
        "how far the machine is from its own healthy baseline, robust z",
        "ISO 13379-1",
        "the machine's own healthy start",
        "never: 0 while the start is learned",
    ),
)
# Dear: made where an alarm is diagnosed, or where a model reads them (`DIAGNOSED`), and not otherwise.
_SMITH = "W. A. Smith & R. B. Randall, MSSP 64-65 (2015), method 2"
_UNBROKEN = "bearing geometry, speed, 16 unbroken revolutions"
_AT_ALARMS = "always, but for the evidence of an alarm"
_UNREAD = "no model reads it (an alarm's evidence has it all the same)"
_SOUGHT = {"bpfo": "BPFO", "bpfi": "BPFI", "bsf": "2 x BSF"}
PROMINENCE = tuple(
    FeatureSpec(
        f"prominence_{line}@1",
        "1",
        _D,
        f"mean ln(power over floor) at {sought} and harmonics in the squared envelope of the pre-whitened signal, "
        "less that of other rates",
        _SMITH,
        _UNBROKEN,
        _UNREAD,
    )
    for line, sought in _SOUGHT.items()
)
RIVAL = tuple(
    FeatureSpec(
        f"rival_{line}@1",
        "1",
        _D,
        f"the largest prominence of a rate that has nothing to do with {sought}",
        _SMITH,
        _UNBROKEN,
        _UNREAD,
    )
    for line, sought in _SOUGHT.items()
)
FREQUENCY = tuple(
    FeatureSpec(
        f"frequency_{line}@1",
        "Hz",
        _R,
        f"where {sought} was found, beside where geometry puts it",
        _SMITH,
        _UNBROKEN,
        _AT_ALARMS,
    )
    for line, sought in _SOUGHT.items()
)
_CARRIED = {"bpfi": ("BPFI", "shaft"), "bsf": ("2 x BSF", "cage")}
SIDEBAND = tuple(
    FeatureSpec(
        f"sideband_{line}@1",
        "1",
        _D,
        f"mean ln(power over floor) one {carrier} rate below and above {sought} and harmonics in that spectrum, less "
        "that beside other rates: the damage turns through the load zone",
        _RANDALL,
        _UNBROKEN,
        _AT_ALARMS,
    )
    for line, (sought, carrier) in _CARRIED.items()
)
PROFILE = tuple(
    FeatureSpec(
        f"profile{band}@1",
        "1",
        _D,
        f"ln(power) of the window in band {band} of 8 equal ones up to 0.8 of Nyquist, Hann window, less the mean of "
        "the eight: what a filter against aliasing does lies above",
        _RANDALL,
        _UNBROKEN,
        _UNREAD,
    )
    for band in range(1, 9)
)
DIAGNOSED = PROMINENCE + RIVAL + PROFILE  # in this order at the end of a row

FAMILIES = {
    "Waveform, every window": WAVEFORM,
    "Bearing, every window": BEARING,
    "Velocity": VELOCITY,
    "Shaft orders": ORDER_VELOCITY + ORDER_RMS,
    "Tracked shaft orders": TRACKED_ORDER,
    "Kurtogram": KURTOGRAM,
    "Slow channels": SCALAR + RESIDUAL,
    "What a model says": ASSESSMENT,
    "What the baseline says": HEALTH,
    "A bearing's diagnosis": DIAGNOSED + FREQUENCY + SIDEBAND,
}
CATALOGUE = {spec.id: spec for family in FAMILIES.values() for spec in family}
