"""NumPy files: `.npy` as one array (samples, channels), `.npz` as one array a channel, and maybe `rate_hz` and `time`.

Nothing is unpickled: a file of objects is refused. An `.npy` is read block by block; an `.npz` whole, at most 256 MB.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.sensors.formats import table
from edge.sensors.formats.options import Options, source
from edge.sensors.recording import Recording
from edge.types import FloatArray
from models.errors import RecordingRejected

LARGEST_BYTES = 256 << 20  # of an .npz, unpacked
_BLOCK = 1 << 16
_NOT_CHANNELS = {"rate_hz", "fs", "sampling_rate"}
Array = NDArray[Any]
Columns = dict[str, Array]


def recordings(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """The recording of one file; RecordingRejected names array and row of what is wrong."""
    arrays = _opened(path)
    rate = _rate(path, arrays)
    time = table.time_column(arrays)
    names = table.channels_among((n for n in arrays if n not in _NOT_CHANNELS), time)
    if not names:
        raise _refused(path, "holds no measurement", "save one array for each channel")
    lengths = {n: _checked(path, n, arrays[n]) for n in names}
    times = _nanoseconds(path, arrays[time]) if time is not None else None
    if len({*lengths.values(), *([] if times is None else [times.size])}) > 1:
        said = ", ".join(f"{n} {size}" for n, size in lengths.items())
        raise _refused(path, f"its arrays are not equally long ({said})", "save what has one rate in one file")
    count = next(iter(lengths.values()))

    def blocks() -> Iterator[table.Block]:
        for first in range(0, count, _BLOCK):
            rows = slice(first, first + _BLOCK)
            values = {n: _numbers(path, n, first, arrays[n][rows]) for n in names}
            where = lambda i, first=first: f"{path}:{first + i}"  # noqa: E731
            yield table.Block(None if times is None else times[rows], values, where)

    described = source(path, options)
    if times is None or rate is not None:
        return [table.fast(described, names, rate, blocks)]
    return [table.timed(described, names, times, blocks)]


def _opened(path: Path) -> Columns:
    try:
        if path.suffix.lower() == ".npy":
            return _columns(path, np.load(path, mmap_mode="r", allow_pickle=False))
        with np.load(path, allow_pickle=False) as archive:
            if sum(i.file_size for i in archive.zip.infolist()) > LARGEST_BYTES:
                raise _refused(path, "is larger than 256 MB", "save it as .npy")
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as e:
        reason = str(e).partition("\n")[0] or type(e).__name__
        raise _refused(path, f"is damaged, or holds Python objects: {reason}", "save plain numbers again") from e


def _columns(path: Path, array: Array) -> Columns:
    fields: tuple[str, ...] | None = array.dtype.names
    if fields:
        return {name: array[name] for name in fields}
    if array.ndim == 1:
        return {"vibration": array}
    if array.ndim != 2 or array.shape[1] > 64:
        raise _refused(path, f"has the shape {array.shape}", "save it as (samples, channels), at most 64 channels")
    return {f"channel {i + 1}": array[:, i] for i in range(array.shape[1])}


def _rate(path: Path, arrays: Columns) -> float | None:
    for name in sorted(_NOT_CHANNELS & arrays.keys()):
        said = arrays[name]
        if said.size != 1 or said.dtype.kind not in "iuf" or not 0 < float(said.item()) < 1e9:
            raise _refused(path, f"{name} is no rate", "write the samples per second")
        return float(said.item())
    return None


def _checked(path: Path, name: str, array: Array) -> int:
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise _refused(path, f"{name} holds {array.dtype} of shape {array.shape}", "save one row of numbers a channel")
    if not array.size:
        raise _refused(path, f"{name} is empty", "record it again")
    return array.size


def _nanoseconds(path: Path, said: Array) -> table.Times:
    """Times of dates (datetime64), or of seconds since 1970 or since the start."""
    if said.ndim != 1 or said.size == 0:
        raise _refused(path, "its time is no row of times", "save one time a sample")
    if said.dtype.kind == "M":
        if np.isnat(said).any():
            raise _refused(path, "a time is missing", "save one time a sample")
        return said.astype("datetime64[ns]").astype(np.int64)
    if said.dtype.kind not in "iuf" or not (np.abs(seconds := said.astype(np.float64)) < 9e9).all():
        raise _refused(path, "its time is neither dates nor seconds", "save datetime64, or seconds")
    return np.round(seconds * 1e9).astype(np.int64)


def _numbers(path: Path, name: str, first: int, values: Array) -> FloatArray:
    """(n,) float32; NaN is an empty cell."""
    found = np.ascontiguousarray(values, dtype=np.float32)
    if (endless := np.isinf(found)).any():
        raise RecordingRejected(
            f"{name} is not a finite number",
            where=f"{path}:{first + int(endless.argmax())}",
            mend="cut the recording before this row",
        )
    return found


def _refused(path: Path, what: str, mend: str) -> RecordingRejected:
    return RecordingRejected(what, where=str(path), mend=mend)
