"""Golden vectors: the proof inside a bundle that a device computes what training computed.

Two steps are proven apart, because their tolerances differ: raw waveform -> features (numpy's FFT on the device's CPU),
and condition -> outputs (ONNX Runtime on the device's CPU). Nothing here runs a model; it says what must come out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import BundleRejected
from models.features import SCALAR
from models.manifest import DEGRADATION, OUTPUTS, RUL, Manifest

FloatArray = NDArray[np.float32]
ARRAYS = ("waveforms", "features", "condition", *OUTPUTS)  # the first two where a feature is made of a waveform
_SLOW = {spec.id for spec in SCALAR}
_LOOSEST = 0.05  # a bundle may not make its own proof void with a tolerance of a million
_SHORTEST_LIFE_S = 60.0  # below, a relative difference says nothing
_WIRE = np.dtype("<f4")


class Tolerances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a device may be from training; `|ours - golden| <= absolute + relative * |golden|`."""

    feature_relative: float = 1e-3
    feature_absolute: float = 1e-4  # in units of the feature's largest golden value
    output_relative: float = 1e-3  # of a remaining life, or of a minute where it is shorter
    degradation_absolute: float = 1e-4  # also of a trend and of the probability of a fault


STRICT = Tolerances()


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Inputs with the outputs that training saw: n waveforms of one channel, m condition vectors."""

    condition: FloatArray  # (m, D)
    outputs: Mapping[str, FloatArray]  # (m, ...) each, by the names of the manifest's `outputs`
    rate_hz: float = 1.0
    waveforms: FloatArray | None = None  # (n, samples), physical units; None: no feature is made of a waveform
    features: FloatArray | None = None  # (n, F), in the order of the manifest's `features`
    tolerances: Tolerances = STRICT

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """What is there, by name, in the order of `ARRAYS`."""
        found = {"waveforms": self.waveforms, "features": self.features, "condition": self.condition, **self.outputs}
        return {name: array for name in ARRAYS if (array := found.get(name)) is not None}


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rate_hz: float
    shapes: dict[str, tuple[int, ...]]
    tolerances: Tolerances


def encode_golden(golden: Golden) -> tuple[bytes, dict[str, bytes]]:
    """Return the header as canonical JSON and each array as little-endian float32."""
    arrays = {name: np.ascontiguousarray(array, _WIRE) for name, array in golden.arrays.items()}
    header = _Header(golden.rate_hz, {n: a.shape for n, a in arrays.items()}, golden.tolerances)
    return msgspec.json.encode(header, order="sorted"), {n: a.tobytes() for n, a in arrays.items()}


def decode_golden(header: bytes, blobs: Mapping[str, bytes]) -> Golden:
    """Undo `encode_golden`; sizes that do not fit their shapes are a `BundleRejected`."""
    try:
        head = msgspec.json.decode(header, type=_Header)
    except (msgspec.DecodeError, msgspec.ValidationError) as e:
        raise BundleRejected(f"the golden vectors' header is not readable: {e}") from e
    if set(head.shapes) != set(blobs) or "condition" not in blobs:
        raise BundleRejected("the golden vectors' header names other arrays than the bundle holds")
    arrays: dict[str, Any] = {}
    for name, shape in head.shapes.items():
        if any(d < 1 for d in shape) or math.prod(shape) * _WIRE.itemsize != len(blobs[name]):
            raise BundleRejected(f"golden {name} has {len(blobs[name])} bytes, which is not the shape {shape}")
        arrays[name] = np.frombuffer(blobs[name], _WIRE).reshape(shape).astype(np.float32, copy=False)
    outputs = {name: arrays.pop(name) for name in OUTPUTS if name in arrays}
    return Golden(rate_hz=head.rate_hz, tolerances=head.tolerances, outputs=outputs, **arrays)


def check_golden(golden: Golden, manifest: Manifest) -> None:
    """Refuse golden vectors that prove nothing: wrong shapes, not finite, tolerances without meaning."""
    arrays, m = golden.arrays, len(golden.condition)
    wanted: dict[str, tuple[int, ...]] = {"condition": (m, len(manifest.inputs))}
    wanted |= {name: (m, *shape) for name, shape in manifest.shapes.items()}
    waveforms = golden.waveforms
    if needs_waveforms(manifest.features):
        if waveforms is None or waveforms.ndim != 2 or waveforms.shape[1] < 16 or not 0 < golden.rate_hz < 1e9:
            raise BundleRejected("golden waveforms must be (n, samples) with at least 16 samples and a rate above 0 Hz")
        wanted |= {"waveforms": waveforms.shape, "features": (len(waveforms), len(manifest.features))}
    if set(arrays) != set(wanted):
        raise BundleRejected(f"the golden vectors must have the arrays {', '.join(a for a in ARRAYS if a in wanted)}")
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise BundleRejected(f"golden {name} has the shape {arrays[name].shape}, expected {shape}")
        if not np.isfinite(arrays[name]).all():
            raise BundleRejected(f"golden {name} holds values that are not finite")
    if RUL in arrays and (np.diff(arrays[RUL], axis=1) < 0).any():
        raise BundleRejected("golden rul_s must rise from p05 over p50 to p95")
    for name in Tolerances.__struct_fields__:
        if not 0 <= getattr(golden.tolerances, name) <= _LOOSEST:
            raise BundleRejected(f"the tolerance {name} must be between 0 and {_LOOSEST}")


def needs_waveforms(features: Iterable[str]) -> bool:
    """Whether golden waveforms must show how a feature is computed: slow channels are read as they come."""
    return not set(features) <= _SLOW


def compare_features(ours: FloatArray, golden: Golden, names: tuple[str, ...]) -> float:
    """Return the largest relative difference of our features (n, F), or raise `BundleRejected` naming the feature."""
    t = golden.tolerances
    assert golden.features is not None
    scale = np.abs(golden.features).max(axis=0, keepdims=True)
    allowed = t.feature_absolute * scale + t.feature_relative * np.abs(golden.features)
    off = np.abs(ours - golden.features)
    _refuse_first("feature", ours, golden.features, off <= allowed, lambda index: names[index[1]])
    return float(np.max(off / np.maximum(scale, 1e-12), initial=0.0))


def compare_outputs(ours: Mapping[str, FloatArray], golden: Golden) -> float:
    """Return the largest difference of our outputs (m, ...), or raise `BundleRejected` naming the output.

    Of a remaining life it is relative to the larger of the golden value and a minute, of the others absolute.
    """
    worst = 0.0
    for name, wanted in golden.outputs.items():
        scale = np.maximum(np.abs(wanted), _SHORTEST_LIFE_S) if name == RUL else np.ones_like(wanted)
        allowed = golden.tolerances.output_relative if name == RUL else golden.tolerances.degradation_absolute
        off = np.abs(ours[name] - wanted) / scale
        _refuse_first("output", ours[name], wanted, off <= allowed, lambda index, name=name: _part(name, index))
        worst = max(worst, float(off.max()))
    return worst


def _part(output: str, index: tuple[int, ...]) -> str:
    if output == DEGRADATION:
        return output
    return f"{output}[{('p05', 'p50', 'p95')[index[1]] if output == RUL else index[1]}]"


def _refuse_first(what: str, ours: FloatArray, golden: FloatArray, fine: NDArray[np.bool_], name: Any) -> None:
    if fine.all():  # a NaN of ours compares as not fine
        return
    index = tuple(int(i) for i in np.argwhere(~fine)[0])
    raise BundleRejected(
        f"golden {what} {name(index)} of vector {index[0]} is {float(ours[index]):.6g} on this device, "
        f"{float(golden[index]):.6g} in training",
        mend="the device computes something else than training did: compare their versions",
    )
