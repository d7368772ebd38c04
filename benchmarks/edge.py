"""The edge: what a window of 2 x 2560 samples costs, beside a bare transform and a textbook pipeline in the same run.

The key `features_inference_over_bare` is (features + network) over (numpy's rfft + the same network called bare).
`channels_per_core` counts channels of 25.6 kHz, measured without a pause, that one core follows from window to alarm
decision (features, history, network, detection; neither the store nor the network link). What a real agent's process
takes, store and link included, is in `benchmarks.agent`; the table has both.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

import numpy as np

from benchmarks import agent, network
from benchmarks.textbook import Textbook
from benchmarks.timing import microseconds
from edge.detection import Detector
from edge.features import Extractor, spectrum
from edge.features.envelope_diagnosis import found_lines
from edge.features.kurtogram import Kurtogram
from edge.features.velocity import VelocityRms
from edge.inference import Judge, LoadedBundle
from edge.sensors.simulator import BEARING_6205, Simulator
from edge.types import Machine

RATE_HZ, SAMPLES, CHANNELS = 25_600.0, 2560, 2
DIAGNOSED_S, SPEED_RPM = 64 / 30.0, 1800.0  # 64 revolutions: what a diagnosis looks at


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
        "a_second_of_signal": _long_measurements(),
        **agent.measure(),
    }


def _long_measurements() -> dict[str, float]:
    """What has a cadence of its own, in microseconds for a second of one channel, beside a bare transform of it."""
    x = np.random.default_rng(0).standard_normal(int(DIAGNOSED_S * RATE_HZ))
    second = x[: int(RATE_HZ)]
    velocity, kurtogram = VelocityRms(second.size, RATE_HZ, "g"), Kurtogram(second.size, RATE_HZ)
    stretch = [x.astype(np.float32)]
    us = microseconds(
        {
            "bare_rfft": lambda: np.fft.rfft(second),
            "velocity": lambda: velocity(np.fft.rfft(second[None])),
            "kurtogram": lambda: kurtogram(np.fft.rfft(second[None])),
            "prewhitened_envelope_lines": lambda: found_lines(stretch, RATE_HZ, BEARING_6205, SPEED_RPM),
        }
    )
    us["prewhitened_envelope_lines"] /= DIAGNOSED_S
    return us


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The table of this part."""
    us = found["microseconds"]
    table = [(f"{name.replace('_', ' ')}, us a window", f"{value:.0f}") for name, value in us.items()]
    reach = {
        "features_over_bare_rfft": "",
        "features_inference_over_bare": " (at most 8)",
        "textbook_over_features": " (at least 20)",
        "channels_per_core": " (at least 200)",
    }
    table += [(key + asked, f"{found[key]:.1f}".removesuffix(".0")) for key, asked in reach.items()]
    long = found["a_second_of_signal"].items()
    return [
        *table,
        *((f"{n.replace('_', ' ')}, us a second of a channel", f"{us:.0f}") for n, us in long),
        *agent.rows(found),
    ]
