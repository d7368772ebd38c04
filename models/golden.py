"""Golden vectors: the proof inside a bundle that a device computes what training computed.

Two steps are proven apart, because their tolerances differ: raw waveform -> features (numpy's FFT on the device's CPU),
and condition -> outputs (ONNX Runtime on the device's CPU). Nothing here runs a model; it says what must come out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import BundleRejected

FloatArray = NDArray[np.float32]
ARRAYS = ("waveforms", "features", "condition", "degradation", "rul_s")
_LOOSEST = 0.05  # a bundle may not make its own proof void with a tolerance of a million
_SHORTEST_LIFE_S = 60.0  # below, a relative difference says nothing
_WIRE = np.dtype("<f4")


class Tolerances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a device may be from training; `|ours - golden| <= absolute + relative * |golden|`."""

    feature_relative: float = 1e-3
    feature_absolute: float = 1e-4  # in units of the feature's largest golden value
    output_relative: float = 1e-3  # of a remaining life, or of a minute where it is shorter
    degradation_absolute: float = 1e-4


STRICT = Tolerances()


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Inputs with the outputs that training saw: n waveforms of one channel, m condition vectors."""

    rate_hz: float
    waveforms: FloatArray  # (n, samples), physical units
    features: FloatArray  # (n, F), in the order of the manifest's `features`
    condition: FloatArray  # (m, D)
    degradation: FloatArray  # (m,), 0 as new .. 1 failed
    rul_s: FloatArray  # (m, 3) seconds: p05, p50, p95
    tolerances: Tolerances = STRICT


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rate_hz: float
    shapes: dict[str, tuple[int, ...]]
    tolerances: Tolerances


def encode_golden(golden: Golden) -> tuple[bytes, dict[str, bytes]]:
    """Return the header as canonical JSON and each array as little-endian float32."""
    arrays = {name: np.ascontiguousarray(getattr(golden, name), _WIRE) for name in ARRAYS}
    header = _Header(golden.rate_hz, {n: a.shape for n, a in arrays.items()}, golden.tolerances)
    return msgspec.json.encode(header, order="sorted"), {n: a.tobytes() for n, a in arrays.items()}


def decode_golden(header: bytes, blobs: Mapping[str, bytes]) -> Golden:
    """Undo `encode_golden`; sizes that do not fit their shapes are a `BundleRejected`."""
    try:
        head = msgspec.json.decode(header, type=_Header)
    except (msgspec.DecodeError, msgspec.ValidationError) as e:
        raise BundleRejected(f"the golden vectors' header is not readable: {e}") from e
    if set(head.shapes) != set(ARRAYS):
        raise BundleRejected(f"the golden vectors must have the arrays {', '.join(ARRAYS)}")
    arrays: dict[str, Any] = {}
    for name, shape in head.shapes.items():
        if any(d < 1 for d in shape) or math.prod(shape) * _WIRE.itemsize != len(blobs[name]):
            raise BundleRejected(f"golden {name} has {len(blobs[name])} bytes, which is not the shape {shape}")
        arrays[name] = np.frombuffer(blobs[name], _WIRE).reshape(shape).astype(np.float32, copy=False)
    return Golden(rate_hz=head.rate_hz, tolerances=head.tolerances, **arrays)


def check_golden(golden: Golden, *, features: int, inputs: int) -> None:
    """Refuse golden vectors that prove nothing: wrong shapes, not finite, tolerances without meaning."""
    n, m = len(golden.waveforms), len(golden.condition)
    wanted = {"features": (n, features), "condition": (m, inputs), "degradation": (m,), "rul_s": (m, 3)}
    for name, shape in wanted.items():
        if getattr(golden, name).shape != shape:
            raise BundleRejected(f"golden {name} has the shape {getattr(golden, name).shape}, expected {shape}")
    if golden.waveforms.ndim != 2 or golden.waveforms.shape[1] < 16 or not 0 < golden.rate_hz < 1e9:
        raise BundleRejected("golden waveforms must be (n, samples) with at least 16 samples and a rate above 0 Hz")
    for name in ARRAYS:
        if not np.isfinite(getattr(golden, name)).all():
            raise BundleRejected(f"golden {name} holds values that are not finite")
    if (np.diff(golden.rul_s, axis=1) < 0).any():
        raise BundleRejected("golden rul_s must rise from p05 over p50 to p95")
    for name in Tolerances.__struct_fields__:
        if not 0 <= getattr(golden.tolerances, name) <= _LOOSEST:
            raise BundleRejected(f"the tolerance {name} must be between 0 and {_LOOSEST}")


def compare_features(ours: FloatArray, golden: Golden, names: tuple[str, ...]) -> float:
    """Return the largest relative difference of our features (n, F), or raise `BundleRejected` naming the feature."""
    t = golden.tolerances
    scale = np.abs(golden.features).max(axis=0, keepdims=True)
    allowed = t.feature_absolute * scale + t.feature_relative * np.abs(golden.features)
    off = np.abs(ours - golden.features)
    _refuse_first("feature", ours, golden.features, off <= allowed, lambda index: names[index[1]])
    return float(np.max(off / np.maximum(scale, 1e-12), initial=0.0))


def compare_outputs(degradation: FloatArray, rul_s: FloatArray, golden: Golden) -> float:
    """Return the largest difference of our outputs (m,), (m, 3), or raise `BundleRejected` naming the output.

    Of degradation it is absolute, of a remaining life relative to the larger of the golden value and a minute.
    """
    t = golden.tolerances
    off_d, scale = np.abs(degradation - golden.degradation), np.maximum(np.abs(golden.rul_s), _SHORTEST_LIFE_S)
    off_r = np.abs(rul_s - golden.rul_s) / scale
    fine_d, fine_r = off_d <= t.degradation_absolute, off_r <= t.output_relative
    _refuse_first("output", degradation, golden.degradation, fine_d, lambda _: "degradation")
    _refuse_first("output", rul_s, golden.rul_s, fine_r, lambda i: f"rul_s[{('p05', 'p50', 'p95')[i[1]]}]")
    return float(max(off_d.max(), off_r.max()))


def _refuse_first(what: str, ours: FloatArray, golden: FloatArray, fine: NDArray[np.bool_], name: Any) -> None:
    if fine.all():  # a NaN of ours compares as not fine
        return
    index = tuple(int(i) for i in np.argwhere(~fine)[0])
    raise BundleRejected(
        f"golden {what} {name(index)} of vector {index[0]} is {float(ours[index]):.6g} on this device, "
        f"{float(golden[index]):.6g} in training",
        mend="the device computes something else than training did: compare their versions",
    )
