"""Whether a bundle does on this device what it did in training. Runs in the trial's process, under its limits.

The order is from cheap to dangerous: bytes, words, graph, and only then ONNX Runtime.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.features import Extractor
from edge.types import Bearing, Channel, ChannelKind, FloatArray, Machine, Window
from models.bundle import Bundle, unpack
from models.errors import BundleRejected
from models.golden import compare_features, compare_outputs, needs_waveforms
from models.graph import check_graph
from models.manifest import INPUT, Manifest

_CHANNEL = "golden"
_BEARING = Bearing(balls=5, ball_diameter=7.94, pitch_diameter=39.04)
_TURNS = 17  # of the shaft in a window: enough for its lines, and few enough for their harmonics
_CALM = 4  # ONNX Runtime's severity "fatal": what it would print comes as an exception


def examine(data: bytes, machine_class: str) -> tuple[Bundle, float, float]:
    """Return the bundle and its largest differences in features and outputs; raises `BundleRejected`.

    An empty `machine_class` accepts a bundle for any.
    """
    bundle = unpack(data)
    manifest = bundle.manifest
    if machine_class and manifest.machine_class != machine_class:
        raise BundleRejected(
            f"it is for machines of class {manifest.machine_class}, this device watches {machine_class}",
            where=f"bundle {manifest.name}",
        )
    check_graph(bundle.onnx, inputs=len(manifest.inputs), outputs=manifest.shapes)
    return bundle, _try_features(bundle), _try_model(bundle)


def _try_features(bundle: Bundle) -> float:
    golden, names = bundle.golden, bundle.manifest.features
    if not needs_waveforms(names) or golden.waveforms is None:
        return 0.0
    return compare_features(golden_features(golden.waveforms, golden.rate_hz, names), golden, names)


def golden_features(waveforms: FloatArray, rate_hz: float, features: tuple[str, ...]) -> FloatArray:
    """Compute (n, F) features of n windows as the device does for a channel of a known bearing.

    Geometry and speed are such that the bearing's lines are found in one window.
    """
    channel = Channel(name=_CHANNEL, kind=ChannelKind.WAVEFORM, unit="g", rate_hz=rate_hz)
    speed_rpm = _TURNS * 60.0 * rate_hz / waveforms.shape[1]
    machine = Machine(name="golden", machine_class="golden", channels=(channel,), speed_rpm=speed_rpm, bearing=_BEARING)
    extractor = Extractor(machine)
    rows = []
    for i, waveform in enumerate(waveforms):
        found = extractor.extract(Window(machine="golden", time_ns=i * 10**9, samples={_CHANNEL: waveform}), features)
        named = dict(zip(found[0].schema.columns, found[0].values, strict=True)) if found else {}
        if missing := [f for f in features if f not in named]:
            raise BundleRejected(f"the golden waveform does not give the features {', '.join(missing)} here")
        rows.append([named[f] for f in features])
    return np.array(rows, np.float32)


def _try_model(bundle: Bundle) -> float:
    import onnxruntime  # noqa: PLC0415  # 150 ms and 30 MB, and nothing above needs it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _CALM
    try:
        session = onnxruntime.InferenceSession(bundle.onnx, options, providers=["CPUExecutionProvider"])
        outputs = _infer(session, bundle.golden.condition, bundle.manifest)
        _infer(session, bundle.golden.condition[:1], bundle.manifest)  # as the agent will: one window at a time
    except BundleRejected:
        raise
    except Exception as e:  # its errors share no base class; whatever it is, the model cannot run
        raise BundleRejected(f"ONNX Runtime cannot run the model: {str(e).splitlines()[0][:300]}") from e
    return compare_outputs(outputs, bundle.golden)


def _infer(session: Any, condition: FloatArray, manifest: Manifest) -> dict[str, FloatArray]:
    outputs = dict(zip(manifest.outputs, session.run(list(manifest.outputs), {INPUT: condition}), strict=True))
    for name, shape in manifest.shapes.items():
        if outputs[name].shape != (len(condition), *shape):
            raise BundleRejected(f"the model gives {name} as {outputs[name].shape} for {len(condition)} windows")
        if not np.isfinite(outputs[name]).all():
            raise BundleRejected("the model gives values that are not finite on the golden vectors")
    return outputs
