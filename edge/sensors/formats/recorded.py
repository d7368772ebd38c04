"""What `forewarn edge record` writes and `forewarn edge replay` reads: Parquet, one row a window, nothing left out.

Columns: `time_ns`, `quality`, and a list of float32 for each channel (null where the window has none). The machine is
JSON in the file's metadata. Samples that are no numbers are kept: a sensor's faults are what is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.sensors.formats import columns
from edge.sensors.formats.options import machine_name
from edge.sensors.recording import Reading, Recording
from edge.types import Machine, Quality, Window
from models.errors import RecordingRejected

KEY = b"forewarn_machine"
_ROWS = 16
_MOST_BYTES = 8 << 20  # held before they are written


class Recorder:
    """Writes one machine's windows; the file has its name only when it is whole."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self._pa = columns.arrow()
        self.file = folder / f"{machine_name(machine.name)}.parquet"
        self._part = self.file.with_suffix(".part")
        self._names = [c.name for c in machine.channels]
        lists = [self._pa.field(f"samples/{n}", self._pa.list_(self._pa.float32())) for n in self._names]
        fields = [self._pa.field("time_ns", self._pa.int64()), self._pa.field("quality", self._pa.int32()), *lists]
        self._schema = self._pa.schema(fields, metadata={KEY: msgspec.json.encode(machine)})
        self._writer = self._pa.parquet.ParquetWriter(self._part, self._schema, compression="zstd")
        self._held: list[Window] = []
        self._bytes = 0
        self.windows = 0

    def add(self, window: Window) -> None:
        """Take one window."""
        self._held.append(window)
        self._bytes += sum(v.nbytes for v in window.samples.values())
        self.windows += 1
        if self._bytes > _MOST_BYTES:
            self._write()

    def _write(self) -> None:
        rows: dict[str, list[Any]] = {
            "time_ns": [w.time_ns for w in self._held],
            "quality": [int(w.quality) for w in self._held],
        }
        rows |= {f"samples/{n}": [w.samples.get(n) for w in self._held] for n in self._names}
        self._writer.write_table(self._pa.table(rows, schema=self._schema))
        self._held, self._bytes = [], 0

    def close(self) -> None:
        """Finish the file; without a window there is none."""
        if self._held:
            self._write()
        self._writer.close()
        if self.windows:
            self._part.replace(self.file)
        else:
            self._part.unlink()


def recordings(path: Path, metadata: dict[bytes, bytes]) -> Iterable[Recording]:
    """The recording of one file; its machine is what it was, class and marks included."""
    try:
        machine = msgspec.json.decode(metadata[KEY], type=Machine)
    except msgspec.DecodeError as e:
        raise RecordingRejected(f"its machine is not understood: {e}", where=str(path), mend="record it again") from e
    first = next((r["time_ns"] for r in _rows(path)), 0)

    def read() -> Iterator[Reading]:
        for row in _rows(path):
            samples = {
                c.name: np.asarray(row[f"samples/{c.name}"], np.float32)
                for c in machine.channels
                if row.get(f"samples/{c.name}") is not None
            }
            yield Reading(row["time_ns"] - first, samples, Quality(row["quality"]))

    return [Recording(machine=machine, path=path, read=read, dated_ns=first)]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with columns.open_parquet(path) as file, columns.reading(path):
        for batch in file.iter_batches(batch_size=_ROWS):
            names = batch.schema.names
            for i in range(batch.num_rows):
                yield {n: _plain(batch.column(n)[i]) for n in names}


def _plain(value: Any) -> Any:
    if not value.is_valid:
        return None
    return value.values.to_numpy(zero_copy_only=False) if hasattr(value, "values") else value.as_py()
