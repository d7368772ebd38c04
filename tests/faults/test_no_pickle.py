"""Row 33: no file that comes from elsewhere can run code here, because nothing that ships reads a pickle."""

from __future__ import annotations

import ast
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.sensors.formats.arrays import recordings as recordings_of
from edge.sensors.formats.options import Options
from models.bundle import unpack
from models.errors import BundleRejected, RecordingRejected
from models.graph import check_graph
from tests.models.test_bundle import DATA, PARTS, content_of, packed_with, rezip

SHIPPED = ("forewarn", "edge", "cloud", "models", "protos", "training")
UNPICKLERS = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "torch.serialization",
}
LOADERS = {"torch.load", "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.hub.load"}
NUMPY = {"np.load", "numpy.load"}  # allowed where it says that pickles are not


def offences(tree: ast.Module) -> Iterator[str]:
    """What in a module could read a pickle."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if a.name in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
            yield from (f"from {n}" for n in sorted(names & (UNPICKLERS | LOADERS | {"numpy.load"})))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            refuses = any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords)
            if called in LOADERS or (called in NUMPY and not refuses):
                yield f"{called} at line {node.lineno}"


def test_nothing_that_ships_reads_a_pickle(repository: Path):
    files = [file for folder in SHIPPED for file in (repository / folder).rglob("*.py")]
    assert len(files) > 200
    found = {str(f): wrong for f in files if (wrong := list(offences(ast.parse(f.read_text()))))}
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "from torch import load",
        "import torch\ntorch.load(f, weights_only=True)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import numpy as np\nnp.load(f)",
    ],
)
def test_the_search_sees_each_way_to_read_one(code: str):
    assert list(offences(ast.parse(code)))


class Exploit:
    """A pickle of it makes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """Where an exploit would leave a trace."""
    yield tmp_path / "ran"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", content_of(DATA))
def test_an_exploit_in_place_of_a_file_of_a_bundle_is_refused_and_never_runs(mark: Path, name: str):
    def look(data: bytes) -> None:
        check_graph(unpack(data).onnx, inputs=len(PARTS.manifest.inputs), outputs=PARTS.manifest.shapes)

    look(DATA)
    with pytest.raises(BundleRejected):
        look(packed_with(name, pickle.dumps(Exploit(mark))))


def test_a_pickle_is_no_bundle_and_no_bundle_holds_one_beside_its_files(mark: Path):
    evil = pickle.dumps(Exploit(mark))
    for data in (evil, rezip({**content_of(DATA), "data.pkl": evil})):
        with pytest.raises(BundleRejected):
            unpack(data)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_exploit_as_a_recording_is_refused_and_never_runs(tmp_path: Path, mark: Path, suffix: str):
    file = tmp_path / f"recording{suffix}"
    array = np.array([Exploit(mark)], dtype=object)
    np.save(file, array, allow_pickle=True) if suffix == ".npy" else np.savez(file, array)
    with pytest.raises(RecordingRejected, match="holds Python objects"):
        list(recordings_of(file, Options()))
