"""The edge: what a window of 2 x 2560 samples costs, beside a bare transform and a textbook pipeline in the same run.

The key `features_inference_over_bare` is (features + network) over (numpy's rfft + the same network called bare).
`channels_per_core` counts channels of 25.6 kHz, measured without a pause, that one core follows from window to alarm
decision (features, history, network, detection; neither the store nor the network link).
"""

from __future__ import annotations

import subprocess
import sys
from itertools import cycle, islice
from typing import Any

import numpy as np

from benchmarks import network
from benchmarks.textbook import Textbook
from benchmarks.timing import microseconds
from edge.detection import Detector
from edge.features import Extractor, spectrum
from edge.inference import Judge, LoadedBundle
from edge.sensors.simulator import Simulator
from edge.types import Machine

RATE_HZ, SAMPLES, CHANNELS = 25_600.0, 2560, 2
_MEMORY = """
import numpy as np, grpc, onnxruntime
from edge.features import Extractor
from edge.sensors.simulator import Simulator
simulator = Simulator("m", 1, "outer_race", speed=None)
extractor = Extractor(simulator.machine)
for i, window in zip(range(500), simulator.windows()):
    extractor.extract(window)
print(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])
"""


def measure() -> dict[str, Any]:
    """All figures of this part, by name."""
    simulator = Simulator("benchmark", 1, "outer_race", life_s=3000.0, speed=None)
    windows = list(islice(simulator.windows(), 300))
    manifest, onnx_file = network.bundle()
    bundle = LoadedBundle(manifest, onnx_file)
    condition = np.zeros((1, len(manifest.inputs)), dtype=np.float32)
    stacked = [np.stack([w.samples["horizontal"], w.samples["vertical"]]) for w in windows]
    with_lines = simulator.machine
    plain = Machine(name="m", machine_class="bearing", channels=with_lines.channels[:CHANNELS])
    extractor, line_extractor = Extractor(plain), Extractor(with_lines)
    textbook = Textbook(RATE_HZ)
    judge, detector = Judge(with_lines, bundle), Detector(with_lines)
    # Each way walks through the windows on its own, so that none finds its data warmer than the others.
    feed = {k: cycle(windows) for k in ("features", "lines", "chain", "spectrum")}
    raw = {k: cycle(stacked) for k in ("rfft", "textbook")}
    more = Simulator("source", 2, "outer_race", life_s=1e9, speed=None).windows()
    seconds = iter(range(10**9))

    def chain() -> None:
        window = detector.check(next(feed["chain"]))
        rows = line_extractor.extract(window)
        assessment = judge.update(next(seconds) * 10.0, rows)
        detector.update(window, rows, assessment, manifest.thresholds)

    us = microseconds(
        {
            "bare_rfft": lambda: np.fft.rfft(next(raw["rfft"])),
            "bare_network": lambda: bundle.infer(condition),
            "features": lambda: extractor.extract(next(feed["features"])),
            "features_with_bearing_lines": lambda: line_extractor.extract(next(feed["lines"])),
            "textbook": lambda: textbook(next(raw["textbook"])),
            "spectrum": lambda: spectrum(with_lines, next(feed["spectrum"])),
            "window_to_decision": chain,
            "simulated_window": lambda: next(more),
        }
    )
    bare = us["bare_rfft"] + us["bare_network"]
    signal_us = SAMPLES / RATE_HZ * 1e6
    return {
        "window": f"{CHANNELS} x {SAMPLES} samples at {RATE_HZ / 1000:g} kHz",
        "microseconds": us,
        "network_parameters": network.parameters(onnx_file),
        "features_over_bare_rfft": us["features"] / us["bare_rfft"],
        "features_inference_over_bare": (us["features"] + us["bare_network"]) / bare,
        "textbook_over_features": us["textbook"] / us["features"],
        "channels_per_core": int(CHANNELS * signal_us / us["window_to_decision"]),
        "sensing_rss_mb": _memory_mb(),
    }


def _memory_mb() -> float:
    """Resident memory of a process that senses and extracts, with gRPC and ONNX Runtime loaded."""
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout) / 1024


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The table of this part."""
    us = found["microseconds"]
    table = [(f"{name.replace('_', ' ')}, us a window", f"{value:.0f}") for name, value in us.items()]
    keys = ("features_over_bare_rfft", "features_inference_over_bare", "textbook_over_features", "channels_per_core")
    return [
        *table,
        *((k, f"{found[k]:.1f}" if isinstance(found[k], float) else str(found[k])) for k in keys),
        ("sensing_rss_mb", f"{found['sensing_rss_mb']:.0f}"),
    ]
