"""From a model to a bundle's bytes, with golden vectors by the edge's own features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
import numpy as np

from edge.updater.examine import golden_features
from forewarn import __version__
from models.bundle import feature_hash, pack
from models.golden import Golden, needs_waveforms
from models.history import FloatArray
from models.manifest import FORMAT, Lineage, Manifest
from training.export import run_onnx
from training.model import Model

_GOLDEN_RATE_HZ = 25_600.0
_GOLDEN_SAMPLES = 2_560


def golden_waveforms() -> FloatArray:
    """(4, 2560) float32: a hum, noise, and a bearing's impacts twice; the same on every machine."""
    t = np.arange(_GOLDEN_SAMPLES) / _GOLDEN_RATE_HZ
    noise = np.random.default_rng(20_261_122).standard_normal((4, t.size))
    waves = 0.05 * noise
    waves[0] += 0.3 * np.sin(2 * np.pi * 29.5 * t)
    waves[1] += 0.5 * noise[0]
    for row, strength in ((2, 1.0), (3, 4.0)):
        since = np.mod(t + 0.001 * row, 1 / 107.0)
        waves[row] += strength * np.exp(-since * 900.0) * np.sin(2 * np.pi * 4_100.0 * since)
    return waves.astype(np.float32)


def pack_bundle(
    machine_class: str, model: Model, *, card: Callable[[str], str], simulated: bool = False
) -> tuple[str, bytes]:
    """Return the bundle's name, which follows from its lineage, and its bytes; `card` writes the card of a name."""
    lineage = msgspec.structs.replace(model.lineage, versions=model.lineage.versions | {"forewarn": __version__})
    name = f"{machine_class}-{_digest(lineage)}"
    manifest = Manifest(
        format=FORMAT,
        name=name,
        machine_class=machine_class,
        features=model.features,
        feature_hash=feature_hash(model.features),
        view=model.view,
        inputs=model.inputs,
        outputs=model.outputs,
        faults=model.faults,
        thresholds=model.thresholds,
        coverage=model.coverage,
        lineage=lineage,
        evaluation=model.evaluation,
        parity_max_abs=model.parity_max_abs,
        simulated=simulated,
    )
    return name, pack(manifest, model.onnx, _golden(model), card(name))


def _golden(model: Model) -> Golden:
    outputs = run_onnx(model.onnx, model.probe, model.outputs)
    if not needs_waveforms(model.features):
        return Golden(condition=model.probe, outputs=outputs)
    waveforms = golden_waveforms()
    return Golden(
        condition=model.probe,
        outputs=outputs,
        rate_hz=_GOLDEN_RATE_HZ,
        waveforms=waveforms,
        features=golden_features(waveforms, _GOLDEN_RATE_HZ, model.features),
    )


def _digest(lineage: Lineage) -> str:
    return hashlib.sha256(msgspec.json.encode(lineage, order="sorted")).hexdigest()[:12]
