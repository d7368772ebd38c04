"""Small recordings in every format, made on the spot."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge.sensors.recording import Recording
from edge.sensors.replay import find_recordings
from models.errors import RecordingRejected

Found = tuple[list[Recording], list[RecordingRejected]]


@pytest.fixture
def find() -> Callable[..., Found]:
    """find_recordings, its answer sorted into good and refused."""

    def split(*paths: Path, **options: object) -> Found:
        found = find_recordings(list(paths), **options)
        return [f for f in found if isinstance(f, Recording)], [f for f in found if isinstance(f, RecordingRejected)]

    return split


@pytest.fixture
def pronostia(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bearing in PRONOSTIA's layout: `rows` snapshots every 10 s from `start` (seconds of the day)."""

    def write(
        name: str = "Bearing9_9",
        *,
        rows: int = 12,
        samples: int = 256,
        start: float = 36_000.0,
        times: list[float] | None = None,
        degrees: list[float] | None = None,
        degrees_start: float | None = None,
        change: Callable[[dict], object] | None = None,
    ) -> Path:
        rng = np.random.default_rng(len(name) + rows)
        of_day = np.array(times if times is not None else [start + 10.0 * i for i in range(rows)]) % 86_400
        lists = {c: rng.integers(-900, 900, (rows, samples)).astype(np.int32) for c in ("horiz_mg", "vert_mg")}
        columns: dict[str, object] = {
            "snapshot": pa.array(range(1, rows + 1), pa.int32()),
            **clock(of_day),
            "us": pa.array(np.round(of_day % 1 * 1e6).astype(np.int32)),
            **{c: pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), samples) for c, v in lists.items()},
        }
        if change is not None:
            change(columns)
        path = tmp_path / f"{name}_vib.parquet"
        pq.write_table(pa.table(columns), path)
        if degrees is not None:
            at = ((start if degrees_start is None else degrees_start) + np.arange(len(degrees)) * 0.1) % 86_400
            milli = np.round(np.array(degrees) * 1000).astype(np.int32)
            tenth = pa.array(np.round(at % 1 * 10).astype(np.int16) % 10)
            table = pa.table({**clock(at + 1e-6), "tenth": tenth, "temp_mC": pa.array(milli)})
            pq.write_table(table, tmp_path / f"{name}_temp.parquet")
        return path

    return write


def clock(of_day: np.ndarray) -> dict[str, pa.Array]:
    """Hour, minute and second of seconds of the day."""
    whole = np.floor(of_day).astype(np.int64)
    parts = {"hour": whole // 3600, "minute": whole // 60 % 60, "second": whole % 60}
    return {n: pa.array(v.astype(np.int16)) for n, v in parts.items()}


def wav_bytes(
    data: bytes,
    *,
    code: int,
    bits: int,
    channels: int = 1,
    rate: int = 8000,
    extensible: bool = False,
    extra: bytes = b"",
) -> bytes:
    """A RIFF file around `data`; `extra` chunks stand before the samples."""
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", 0xFFFE if extensible else code, channels, rate, rate * frame, frame, bits)
    if extensible:
        form += struct.pack("<HHIH14s", 22, bits, 0, code, b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71")
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + extra + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body
