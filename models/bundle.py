"""A bundle: one failure model as one deterministic file.

 * A bundle is a zip of stored (not compressed) files with fixed names, order and times: the same model, the same bytes.
 * Its bytes are exactly what `pack` makes of its content: no comment, no second directory, nothing before or behind.
   So any other byte, anywhere, is a refusal, also before a signature is looked at.
 * Unpacking runs nothing of the content: JSON into typed structs, arrays by length; the ONNX graph stays bytes.

A bundle's signature is not in the file: it is a TUF target (`cloud.registry` signs, `edge.updater` verifies).
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from models.errors import BundleRejected
from models.features import CATALOGUE, schema_id
from models.golden import ARRAYS, Golden, check_golden, decode_golden, encode_golden
from models.manifest import DEGRADATION, FAULT, FORMAT, OUTPUTS, Manifest
from models.views import open_view

LARGEST_BUNDLE = 16_000_000  # bytes, the whole file
LARGEST = {"manifest.json": 500_000, "card.md": 500_000, "golden.json": 10_000, "model.onnx": 8_000_000}
_ARRAY_FILES = tuple(f"golden/{name}.f32" for name in ARRAYS)
FILES = ("manifest.json", "card.md", "golden.json", *_ARRAY_FILES, "model.onnx")  # which arrays: see `models.golden`
_LARGEST_ARRAY = 4_000_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
# what `zipfile` raises on bytes that are no zip, or one of a kind that no bundle is
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError, struct.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An unpacked bundle; `onnx` has not been looked into (see `models.graph`)."""

    manifest: Manifest
    onnx: bytes
    golden: Golden
    card: str


def pack(manifest: Manifest, onnx: bytes, golden: Golden, card: str) -> bytes:
    """Return the bundle's bytes, the same for the same content; content that could not be unpacked is refused here."""
    header, arrays = encode_golden(golden)
    content = {
        "manifest.json": msgspec.json.encode(manifest, order="sorted"),
        "card.md": card.encode(),
        "golden.json": header,
        **{f"golden/{name}.f32": blob for name, blob in arrays.items()},
        "model.onnx": onnx,
    }
    data = _zip(content)
    unpack(data)
    return data


def unpack(data: bytes) -> Bundle:
    """Check everything that can be checked without running the model, and return the parts.

    Raises `BundleRejected` for every violation.
    """
    content = _unzip(data)
    manifest = _decode_manifest(content["manifest.json"])
    arrays = {n: content[f"golden/{n}.f32"] for n in ARRAYS if f"golden/{n}.f32" in content}
    golden = decode_golden(content["golden.json"], arrays)
    check_golden(golden, manifest)
    try:
        card = content["card.md"].decode()
    except UnicodeDecodeError as e:
        raise BundleRejected("the model card is not UTF-8 text") from e
    return Bundle(manifest=manifest, onnx=content["model.onnx"], golden=golden, card=card)


def check_manifest(manifest: Manifest) -> None:
    """Refuse a manifest that contradicts itself or asks for what this software cannot compute."""
    if not NAME.fullmatch(manifest.name):
        raise BundleRejected(f"the name {manifest.name!r} may hold only letters, digits, dot, dash and underscore")
    where = f"bundle {manifest.name}"
    if not NAME.fullmatch(manifest.machine_class):
        raise BundleRejected(f"the machine class {manifest.machine_class!r} is not a plain name", where=where)
    if unknown := [f for f in manifest.features if f not in CATALOGUE]:
        raise BundleRejected(
            f"it needs features that this version cannot compute: {', '.join(unknown)}",
            where=where,
            mend="update the software on the device",
        )
    if not manifest.features or len(set(manifest.features)) != len(manifest.features):
        raise BundleRejected("its list of features is empty or names one twice", where=where)
    if manifest.feature_hash != feature_hash(manifest.features):
        raise BundleRejected("its feature hash is not the hash of its features", where=where)
    if problem := manifest.view.problem():
        raise BundleRejected(problem, where=where)
    if manifest.inputs != open_view(manifest.view, manifest.features).inputs:
        raise BundleRejected("its inputs are not the condition vector of its features", where=where)
    if problem := _problem_of_outputs(manifest):
        raise BundleRejected(problem, where=where)
    t = manifest.thresholds
    if not 0 < t.warn <= t.act or t.deadband < 0 or min(t.on_delay_windows, t.off_delay_windows) < 1:
        raise BundleRejected("its thresholds must be 0 < warn <= act, with delays of at least one window", where=where)


def _problem_of_outputs(manifest: Manifest) -> str:
    outputs, faults = manifest.outputs, manifest.faults
    if outputs != tuple(o for o in OUTPUTS if o in outputs) or DEGRADATION not in outputs:
        return f"its outputs must be {DEGRADATION} and some of {', '.join(OUTPUTS[1:])}, in this order"
    if len(set(faults)) != len(faults) or (FAULT in outputs) != (len(faults) > 1):
        return f"the output {FAULT} needs two classes or more, each named once, and classes need the output"
    return ""


def feature_hash(features: tuple[str, ...]) -> str:
    """The manifest's `feature_hash`: 16 hex digits of the schema id over the ordered features."""
    return f"{schema_id(features):016x}"


def _decode_manifest(data: bytes) -> Manifest:
    try:
        plain = msgspec.json.decode(data)
        found = plain.get("format") if isinstance(plain, dict) else None
        if found != FORMAT:
            raise BundleRejected(
                f"the bundle's format is {found!r}, this version reads format {FORMAT}",
                mend="update the software" if isinstance(found, int) and found > FORMAT else "",
            )
        manifest = msgspec.convert(plain, Manifest)
        if msgspec.json.encode(plain, order="sorted") != data:
            raise BundleRejected("the manifest is not canonical JSON")
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as e:
        raise BundleRejected(f"the manifest is not readable: {e}") from e
    check_manifest(manifest)
    return manifest


def _zip(content: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in (f for f in FILES if f in content):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, wherever it was packed
            info.external_attr = 0o644 << 16
            archive.writestr(info, content[name])
    return out.getvalue()


def _unzip(data: bytes) -> dict[str, bytes]:
    if len(data) > LARGEST_BUNDLE:
        raise BundleRejected(f"the file has {len(data)} bytes, more than {LARGEST_BUNDLE}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [e.filename for e in entries]
            needed = [f for f in FILES if f in names or f not in _ARRAY_FILES]
            if names != needed:
                raise BundleRejected(f"a bundle holds {', '.join(FILES)}, in this order and nothing else")
            for entry in entries:
                largest = LARGEST.get(entry.filename, _LARGEST_ARRAY)
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > largest:
                    raise BundleRejected(f"{entry.filename} is compressed or has more than {largest} bytes")
            content = {e.filename: archive.read(e) for e in entries}
    except _UNREADABLE as e:
        raise BundleRejected(f"the file is no bundle, or it is damaged: {e}") from e
    if _zip(content) != data:
        raise BundleRejected("the file is no bundle: it holds bytes that no bundle has")
    return content
