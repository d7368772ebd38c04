"""An edge device carries no trainer, no cluster and no cloud, in its packages and in its memory."""

from __future__ import annotations

import json
import subprocess
import sys

from packaging.utils import canonicalize_name

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
