"""What is wrong with each record of a rig, as far as its folder tells: a column, meta.json, or the record's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from edge.sensors.formats import columns, meta

SHORT = {"normal": "normal", "inner_race": "inner", "outer_race": "outer", "ball": "ball"}  # the benchmark's words
_WORDS = (
    ("normal", re.compile(r"(normal|baseline|healthy)", re.I)),
    ("inner_race", re.compile(r"i(r|nner)", re.I)),
    ("outer_race", re.compile(r"o(r|uter)", re.I)),
    ("ball", re.compile(r"b(all)?(?![a-z])", re.I)),
)


def truths(folder: Path) -> dict[str, str]:
    """The class (`models.networks.faults.FAULTS`) of each record whose class is told."""
    known = meta.load(folder).get("records")
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.parquet")):
        with columns.open_parquet(path) as file:
            wanted = [c for c in ("key", "file", "fault") if c in file.schema_arrow.names]
            rows = file.read(columns=wanted).to_pylist() if wanted else []
        for row in rows:
            record = str(row.get("key") or row.get("file") or "")
            fault = _class(row.get("fault")) or _class(_of_meta(known, record)) or _class(PurePosixPath(record).name)
            if record and fault:
                found[record] = fault
    return found


def bearing(record: str) -> str:
    """The physical bearing of a record: its name without the load, the speed or the channel that ends it."""
    stem = PurePosixPath(record.replace("\\", "/")).stem.partition("__")[0]
    return stem.rpartition("_")[0] or stem


def _of_meta(known: Any, record: str) -> Any:
    described = known.get(record.partition("__")[0]) if isinstance(known, Mapping) else None
    return described.get("fault") if isinstance(described, Mapping) else None


def _class(word: Any) -> str | None:
    return next((fault for fault, told in _WORDS if isinstance(word, str) and told.match(word)), None)
