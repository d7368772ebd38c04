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
    )
    for line in ("bpfo", "bpfi", "bsf", "ftf")
)
VELOCITY = (
    FeatureSpec(
        "velocity_rms@1", "mm/s", _R, "RMS of the vibration velocity from 10 to 1000 Hz, Hann window", "ISO 20816-1"
    ),
)
SCALAR = (
    FeatureSpec("level@1", "=", _D, "median of the samples since the last window", "ISO 13373-1"),
    FeatureSpec(
        "rate@1",
        "=/min",
        _D,
        "least-squares slope of the level over the last 10 minutes, 0 before three levels",
        "ISO 13373-1",
    ),
)
ASSESSMENT = (
    FeatureSpec("degradation@1", "1", _D, "0 as new to 1 failed", "ISO 13381-1"),
    FeatureSpec("rul_p05@1", "s", _D, "remaining useful life, 5 % quantile", "ISO 13381-1"),
    FeatureSpec("rul_p50@1", "s", _D, "remaining useful life, median", "ISO 13381-1"),
    FeatureSpec("rul_p95@1", "s", _D, "remaining useful life, 95 % quantile", "ISO 13381-1"),
)
HEALTH = (
    FeatureSpec(
        "deviation@1", "1", _D, "how far the machine is from its own healthy baseline, robust z", "ISO 13379-1"
    ),
)
# Figures of an alarm's evidence only: made when a bearing is diagnosed, not every window.
_SMITH = "W. A. Smith & R. B. Randall, MSSP 64-65 (2015), method 2"
DIAGNOSIS = tuple(
    spec
    for line, sought in (("bpfo", "BPFO"), ("bpfi", "BPFI"), ("bsf", "2 x BSF"))
    for spec in (
        FeatureSpec(
            f"prominence_{line}@1",
            "1",
            _D,
            f"mean ln(power over floor) at {sought} and harmonics in the squared envelope of the pre-whitened signal, "
            "less that of other rates",
            _SMITH,
        ),
        FeatureSpec(
            f"frequency_{line}@1", "Hz", _R, f"where {sought} was found, beside where geometry puts it", _SMITH
        ),
    )
)

CATALOGUE = {spec.id: spec for spec in WAVEFORM + BEARING + VELOCITY + SCALAR + ASSESSMENT + HEALTH + DIAGNOSIS}
