"""An edge device carries no trainer, no cluster and no cloud, in its packages and in its memory."""

from __future__ import annotations

import json
import subprocess
import sys

from packaging.utils import canonicalize_name

from benchmarks import network

NEVER_INSTALLED = {"torch", "ray", "minio", "pandas", "scipy", "sqlalchemy", "fastapi", "matplotlib", "pyarrow"}
NEVER_IMPORTED = NEVER_INSTALLED | {"alembic", "onnx", "cloud", "training", "forewarn"}

IMPORT_ALL_OF_THE_EDGE = """
import importlib, json, pkgutil, sys
import edge
for module in pkgutil.walk_packages(edge.__path__, "edge."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
json.dump(sorted({name.partition(".")[0] for name in sys.modules}), sys.stdout)
"""

# Downloads, signatures and trials belong into the updater's child process, tracebacks in colour nowhere; numpy.median
# brings numpy.ma. Each was loaded once, and cost 0.5 to 20 MB on every device.
NEVER_IN_AN_AGENT = {
    *("tuf", "securesystemslib", "cryptography", "rich", "multiprocessing", "statistics", "fractions", "numpy.ma"),
    *(
        "http",
        "urllib.request",
        "email",
        "xml",
        "unittest",
        "setuptools",
        "pkg_resources",
        "numpy.random",
        "numpy.testing",
    ),
    *("pyarrow", "paho", "asyncua", "edge.sensors.replay", "edge.sensors.mqtt", "edge.sensors.opcua", "edge.doctor"),
}
JUDGE_SOME_WINDOWS = """
import json, sys
from pathlib import Path
import forewarn.cli, forewarn.commands.edge, edge.agent, edge.config, edge.sources, edge.sensors.push
from edge.detection import Detector
from edge.features import Extractor
from edge.inference import Judge, LoadedBundle
from edge.types import Bearing, Channel, ChannelKind, Machine, Window
import numpy as np

channels = (Channel(name="a", kind=ChannelKind.WAVEFORM, unit="g", rate_hz=25600.0),
            Channel(name="t", kind=ChannelKind.SCALAR, unit="C", rate_hz=1.0))
bearing = Bearing(balls=9, ball_diameter=7.94, pitch_diameter=39.04)
machine = Machine(name="m", machine_class="bearing", channels=channels, speed_rpm=1800.0, bearing=bearing)
bundle = LoadedBundle.open(Path(sys.argv[1]))
extractor, judge, detector = Extractor(machine), Judge(machine, bundle), Detector(machine)
told = []
for i in range(200):
    noise = np.sin(np.arange(2560, dtype=np.float32) ** 1.5) * np.float32(1.0 if i < 100 else 30.0 if i > 120 else 4.0)
    window = Window(machine="m", time_ns=i * 10**10, samples={"a": noise, "t": np.full(10, 40.0, np.float32)})
    rows = extractor.extract(detector.check(window))
    told += detector.update(window, rows, judge.update(i * 10.0, rows), bundle.manifest.thresholds)[1]
assert any(a.part != "sensor" for a in told), told
json.dump(sorted(sys.modules), sys.stdout)
"""


def test_an_edge_install_brings_neither_torch_nor_ray_nor_an_s3_client(dependencies):
    brought = set(dependencies("edge"))
    assert {"numpy", "onnxruntime", "grpcio"} <= brought, "the look-up itself is broken"
    assert brought & NEVER_INSTALLED == set()


def test_the_pins_of_the_edge_are_exactly_what_it_brings(dependencies, repository):
    text = (repository / "constraints" / "edge.txt").read_text()
    pinned = {canonicalize_name(line.split("==")[0]) for line in text.splitlines() if "==" in line}
    assert set(dependencies("edge")) <= pinned
    assert pinned & NEVER_INSTALLED == set()


def test_importing_the_whole_edge_loads_nothing_of_the_cloud_or_of_training(repository):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_OF_THE_EDGE], cwd=repository, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert {"edge", "models", "numpy"} <= loaded
    assert loaded & NEVER_IMPORTED == set()


def test_an_agent_that_judges_and_warns_has_loaded_only_what_it_needs(repository, tmp_path):
    (tmp_path / "bundle.fwb").write_bytes(network.packed()[1])
    command = [sys.executable, "-c", JUDGE_SOME_WINDOWS, str(tmp_path / "bundle.fwb")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert {"edge.agent", "onnxruntime", "grpc"} <= loaded
    assert loaded & (NEVER_IMPORTED - {"forewarn"} | NEVER_IN_AN_AGENT) == set()
