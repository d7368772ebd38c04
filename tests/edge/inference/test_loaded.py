from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from edge.inference import Judge, LoadedBundle
from models.errors import BundleRejected
from tests.models.making import make_parts

from .conftest import make_rows


def test_a_bundles_file_becomes_a_model_that_runs(tmp_path):
    parts = make_parts()
    (tmp_path / "a.fwb").write_bytes(parts.pack())
    loaded = LoadedBundle.open(tmp_path / "a.fwb")
    answer = loaded.infer(parts.golden.condition)
    assert loaded.name == parts.manifest.name
    np.testing.assert_allclose(answer.degradation, parts.golden.outputs["degradation"], atol=1e-6)
    np.testing.assert_allclose(answer.rul_s, parts.golden.outputs["rul_s"], rtol=1e-5)


def test_a_file_that_is_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(BundleRejected, match=r"missing\.fwb.*cannot be read"):
        LoadedBundle.open(tmp_path / "missing.fwb")
    (tmp_path / "b.fwb").write_bytes(make_parts().pack()[:-1])
    with pytest.raises(BundleRejected):
        LoadedBundle.open(tmp_path / "b.fwb")


def test_a_graph_that_is_none_is_refused():
    manifest = make_parts().manifest
    with pytest.raises(BundleRejected):
        LoadedBundle(manifest, b"no graph at all")


def test_a_graph_that_onnx_runtime_cannot_load_is_refused_by_our_own_error(monkeypatch):
    parts = make_parts()
    monkeypatch.setattr("edge.inference.loaded.check_graph", lambda onnx, **wanted: None)
    with pytest.raises(BundleRejected, match="ONNX Runtime does not load it"):
        LoadedBundle(parts.manifest, b"no graph at all")


def test_many_machines_share_one_session_of_one_thread_that_does_not_spin(bundle, machine, monkeypatch):
    made = []

    class Counted(onnxruntime.InferenceSession):
        def __init__(self, data, options, **more):
            made.append(options)
            super().__init__(data, options, **more)

    monkeypatch.setattr("edge.inference.loaded.ort.InferenceSession", Counted)
    model = bundle()
    judges = [Judge(machine, model) for _ in range(20)]
    for i in range(35):
        for judge in judges:
            judge.update(i, make_rows(1.0))
    (options,) = made
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
