from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import FILES, feature_hash, unpack
from models.errors import BundleRejected
from models.golden import Golden, Tolerances
from models.history import HistoryConfig
from models.manifest import Thresholds
from models.views import open_view
from tests.models.making import FEATURES, make_parts

PARTS = make_parts()
DATA = PARTS.pack()


def rezip(content: dict[str, bytes], *, compress: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as archive:
        archive.comment = comment
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, compress)
    return out.getvalue()


def content_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed_with(name: str, data: bytes) -> bytes:
    """A bundle in the right form whose file `name` is other bytes."""
    from models.bundle import _zip

    return _zip({**content_of(DATA), name: data})


def test_what_was_packed_comes_out_again():
    bundle = unpack(DATA)
    assert (bundle.manifest, bundle.onnx, bundle.card) == (PARTS.manifest, PARTS.onnx, PARTS.card)
    assert list(bundle.golden.arrays) == ["waveforms", "features", "condition", "degradation", "rul_s"]
    for name, array in bundle.golden.arrays.items():
        np.testing.assert_array_equal(array, PARTS.golden.arrays[name])


def test_a_model_of_slow_channels_that_only_tells_faults_is_packed_without_waveforms():
    """What a bundle does not say is not in it: no remaining life, no waveform."""
    view = HistoryConfig()
    condition = np.ones((2, 4), np.float32)
    outputs = {"degradation": np.zeros(2, np.float32), "fault": np.full((2, 2), 0.5, np.float32)}
    features = ("level@1",)
    parts = PARTS.with_manifest(
        features=features,
        feature_hash=feature_hash(features),
        inputs=open_view(view, features).inputs,
        outputs=tuple(outputs),
        faults=("normal", "leak"),
    )
    bundle = unpack(replace(parts, golden=Golden(condition=condition, outputs=outputs)).pack())
    assert list(bundle.golden.arrays) == ["condition", "degradation", "fault"]
    assert bundle.manifest.shapes == {"degradation": (), "fault": (2,)}
    assert bundle.golden.waveforms is None


def test_two_folders_and_two_hash_seeds_give_the_same_bytes(tmp_path: Path, repository: Path):
    digests = set()
    code = (
        "import hashlib as h; from tests.models.making import make_parts as m; print(h.sha256(m().pack()).hexdigest())"
    )
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {"PYTHONPATH": str(repository), "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"}
        command = [sys.executable, "-c", code]
        digests.add(subprocess.check_output(command, cwd=folder, env=environment, timeout=60))
    assert len(digests) == 1


def test_the_order_in_which_a_manifest_was_made_does_not_show():
    configuration = dict(reversed(PARTS.manifest.lineage.configuration.items()))
    lineage = msgspec.structs.replace(PARTS.manifest.lineage, configuration=configuration)
    assert PARTS.with_manifest(lineage=lineage).pack() == DATA


@given(position=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
@settings(max_examples=400, deadline=None)
def test_one_flipped_bit_anywhere_is_a_refusal(position: int, bit: int):
    spoilt = bytearray(DATA)
    spoilt[position] ^= 1 << bit
    with pytest.raises(BundleRejected):
        unpack(bytes(spoilt))


@given(st.one_of(st.binary(max_size=300), st.integers(0, len(DATA) - 1).map(lambda n: DATA[:n])))
@settings(max_examples=200, deadline=None)
def test_any_other_bytes_are_a_refusal_and_nothing_else(data: bytes):
    with pytest.raises(BundleRejected):
        unpack(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(rezip(content_of(DATA), compress=zipfile.ZIP_DEFLATED), id="compressed"),
        pytest.param(rezip(content_of(DATA), comment=b"hello"), id="a comment"),
        pytest.param(rezip(dict(reversed(content_of(DATA).items()))), id="another order"),
        pytest.param(rezip({**content_of(DATA), "../evil": b""}), id="a file more"),
        pytest.param(rezip({k: v for k, v in content_of(DATA).items() if k != "card.md"}), id="a file less"),
        pytest.param(DATA + b"\0", id="a byte behind"),
        pytest.param(b"\0" + DATA, id="a byte before"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"PK\5\6" + bytes(18), id="an empty zip"),
        pytest.param(bytes(17_000_000), id="too long"),
    ],
)
def test_a_file_of_another_form_is_refused(data: bytes):
    with pytest.raises(BundleRejected):
        unpack(data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 3}, "update the software"),
        ({"format": 0}, "format"),
        ({"name": "../up"}, "name"),
        ({"name": ""}, "name"),
        ({"machine_class": "a/b"}, "machine class"),
        ({"features": (*FEATURES[:-1], "cepstrum@7")}, "cepstrum@7"),
        ({"features": FEATURES[:-1]}, "hash"),
        ({"feature_hash": "0" * 16}, "hash"),
        ({"inputs": ("log_age_h",)}, "condition vector"),
        ({"view": HistoryConfig(baseline_windows=0)}, "history"),
        ({"outputs": ("rul_s",)}, "outputs"),
        ({"outputs": ("rul_s", "degradation")}, "outputs"),
        ({"outputs": ("degradation", "fault")}, "two classes"),
        ({"faults": ("normal", "inner")}, "classes"),
        ({"outputs": ("degradation", "fault"), "faults": ("normal", "normal")}, "two classes"),
        ({"outputs": ("degradation",)}, "arrays"),
        ({"thresholds": Thresholds(warn=0.9, act=0.8)}, "thresholds"),
        ({"thresholds": Thresholds(warn=float("nan"), act=0.8)}, "manifest"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_not_packed(changes: dict[str, object], words: str):
    with pytest.raises(BundleRejected, match=words):
        PARTS.with_manifest(**changes).pack()


@pytest.mark.parametrize(
    ("file", "data", "words"),
    [
        ("manifest.json", b"{", "not readable"),
        ("manifest.json", b"[" * 5000, "not readable"),
        ("manifest.json", b"[]", "format"),
        ("manifest.json", b'{"format":2}', "not readable"),
        ("manifest.json", b" " + content_of(DATA)["manifest.json"], "canonical"),
        ("manifest.json", content_of(DATA)["manifest.json"][:-1] + b',"zzz":1}', "not readable"),
        ("golden.json", b"{}", "header"),
        ("golden/rul_s.f32", b"", "bytes"),
        ("golden/features.f32", bytes(8), "bytes"),
        ("card.md", b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_file_inside_that_is_not_what_it_should_be_is_refused(file: str, data: bytes, words: str):
    assert file in FILES
    with pytest.raises(BundleRejected, match=words):
        unpack(packed_with(file, data))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": PARTS.golden.features[:, 1:]}, "features"),
        ({"condition": PARTS.golden.condition[:, 1:]}, "condition"),
        ({"outputs": PARTS.golden.outputs | {"rul_s": PARTS.golden.outputs["rul_s"][:, ::-1]}}, "rise"),
        ({"outputs": PARTS.golden.outputs | {"degradation": np.full(5, np.nan, np.float32)}}, "finite"),
        ({"waveforms": None}, "waveforms"),
        ({"waveforms": PARTS.golden.waveforms * np.inf}, "finite"),
        ({"waveforms": PARTS.golden.waveforms[:, :8]}, "samples"),
        ({"rate_hz": 0.0}, "rate"),
        ({"tolerances": Tolerances(feature_relative=1e6)}, "tolerance"),
        ({"tolerances": Tolerances(output_relative=-1.0)}, "tolerance"),
    ],
)
def test_golden_vectors_that_prove_nothing_are_not_packed(changes: dict[str, object], words: str):
    with pytest.raises(BundleRejected, match=words):
        PARTS.with_golden(**changes).pack()
