"""A rig of simulated bearings, in files as CWRU's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edge.sensors.simulator import Simulator

BEARING = {"balls": 9, "ball_diameter_mm": 7.94, "pitch_diameter_mm": 39.04, "contact_deg": 0}
RPM, RATE_HZ, WINDOWS = 1797.0, 12_000.0, 3
FAULT = {"B": "ball", "IR": "inner_race", "OR@6": "outer_race", "normal": "none"}
SCALE = 1e-4


def sound(fault: str, seed: int, windows: int = WINDOWS) -> np.ndarray:
    """What one axis of a simulated bearing hears late in its life."""
    made = Simulator(
        f"s{seed}",
        seed,
        fault,
        life_s=1000.0,
        speed=None,
        speed_rpm=RPM,
        rate_hz=RATE_HZ,
        samples=windows * 8192,
    )
    return made.window(60 if fault == "none" else 97).samples["horizontal"]


def rig(folder: Path, keys: Iterable[str], *, labels: bool = True, windows: int = WINDOWS) -> Path:
    """A folder as CWRU's: counts, scales and speeds; without labels its records have plain names."""
    folder.mkdir()
    rows, records = {}, {}
    for seed, key in enumerate(keys):
        fault = key.split("_")[0]
        name = key if labels else f"x{seed}"
        rows[f"{name}__DE"] = np.round(sound(FAULT[fault], hash_of(key), windows) / SCALE).astype(np.int32).tolist()
        records[name] = {"scale": {"DE": SCALE}, "fs_hz": RATE_HZ, "rpm": RPM} | ({"fault": fault} if labels else {})
    table = pa.table({"key": list(rows), "counts": pa.array(list(rows.values()), pa.list_(pa.int32()))})
    pq.write_table(table, folder / "rig.parquet")
    (folder / "meta.json").write_text(json.dumps({"records": records, "bearing": BEARING}))
    return folder


def hash_of(key: str) -> int:
    return sum(ord(c) * 31**i for i, c in enumerate(key)) % 100_003
