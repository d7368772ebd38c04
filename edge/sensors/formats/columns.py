"""Reads columns of Parquet files row by row, and says of each bad one where it is.

pyarrow is imported on first use: an agent that listens to live machines never pays for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import RecordingRejected, WrongUse

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_MAGIC = b"PAR1"


def arrow() -> Any:
    """The pyarrow module with its parquet part; WrongUse when it is not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - 31 MB that only a replay of Parquet needs
        import pyarrow.parquet  # noqa: PLC0415
    except ModuleNotFoundError as e:
        raise WrongUse(
            "replaying Parquet needs pyarrow, which is not installed here", mend="pip install 'forewarn[replay]'"
        ) from e
    return pa


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Everything that pyarrow finds wrong with a file becomes one RecordingRejected."""
    pa = arrow()
    try:
        yield
    except RecordingRejected:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as e:
        reason = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise RecordingRejected(f"is damaged: {reason}", where=str(path), mend="copy or convert it again") from e


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file, its first and last bytes checked so that the commonest damages are named."""
    with path.open("rb") as f:
        head = f.read(4)
        f.seek(0, 2)
        size = f.tell()
        f.seek(max(size - 4, 0))
        tail = f.read(4)
    if head != _MAGIC:
        raise RecordingRejected("is no Parquet file", where=str(path), mend="convert it, or give it its own suffix")
    if tail != _MAGIC or size < 12:
        raise RecordingRejected("is cut short: its end is missing", where=str(path), mend="copy it again")
    with reading(path):
        return arrow().parquet.ParquetFile(path)


def require(path: Path, file: pq.ParquetFile, names: Sequence[str]) -> None:
    """RecordingRejected when a column is missing."""
    missing = [n for n in names if n not in file.schema_arrow.names]
    if missing:
        raise RecordingRejected(
            f"column{'s' * (len(missing) > 1)} {', '.join(missing)} missing",
            where=str(path),
            mend=f"it has {', '.join(file.schema_arrow.names[:8])}",
        )


def rate_of(path: Path, file: pq.ParquetFile) -> float | None:
    """`rate_hz` of the file's metadata; RecordingRejected when it is no rate."""
    value = (file.schema_arrow.metadata or {}).get(b"rate_hz")
    if value is None:
        return None
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e9:
        raise RecordingRejected(
            f"rate_hz in the file's metadata is {value.decode(errors='replace')!r}",
            where=str(path),
            mend="write the samples per second",
        )
    return rate


def batches(path: Path, names: Sequence[str], rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(row number of the first row, batch of at most `rows` rows) through the whole file."""
    file = open_parquet(path)
    require(path, file, names)
    first = 0
    with reading(path), file:
        for batch in file.iter_batches(batch_size=rows, columns=list(names)):
            yield first, batch
            first += batch.num_rows


def numbers(path: Path, first: int, batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    """A column of plain numbers (n,); RecordingRejected names the first row that is empty or not finite."""
    values = numbers_or_empty(path, first, batch, name)
    _check(path, name, values, np.isfinite, lambda i: first + i)
    return values


def numbers_or_empty(path: Path, first: int, batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    """The same with NaN where a cell is empty; RecordingRejected names the first row that is infinite."""
    column = batch.column(name)
    _check_type(path, name, column.type)
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    _check(path, name, values, lambda x: ~np.isinf(x), lambda i: first + i)
    return values


def lists(path: Path, first: int, batch: pa.RecordBatch, name: str) -> list[NDArray[Any]]:
    """A column of lists as one array of numbers per row; RecordingRejected names the first bad row."""
    column = batch.column(name)
    if not arrow().types.is_nested(column.type) or not hasattr(column.type, "value_type"):
        raise RecordingRejected(
            f"column {name} holds {column.type}, not lists of numbers", where=str(path), mend="convert it again"
        )
    _check_type(path, name, column.type.value_type)
    lengths = np.array([0 if n is None else n for n in column.value_lengths().to_pylist()], dtype=np.int64)
    if column.null_count or not lengths.all():
        row = first + int(np.flatnonzero(lengths == 0)[0]) if not lengths.all() else first
        raise RecordingRejected(f"{name} is empty", where=f"{path}:{row}", mend="cut the rows without samples")
    values = column.flatten().to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    _check(path, name, values, np.isfinite, lambda i: first + int(np.searchsorted(ends, i, side="right")))
    return np.split(values, ends[:-1])


def _check_type(path: Path, name: str, kind: Any) -> None:
    types = arrow().types
    if not (types.is_integer(kind) or types.is_floating(kind)):
        raise RecordingRejected(f"column {name} holds {kind}, not numbers", where=str(path), mend="convert it again")


def _check(path: Path, name: str, values: NDArray[Any], good: Any, row_of: Any) -> None:
    if values.dtype.kind == "f" and not (is_good := good(values)).all():
        bad = int(np.flatnonzero(~is_good)[0])
        raise RecordingRejected(
            f"{name} is not a finite number", where=f"{path}:{row_of(bad)}", mend="cut the recording before this row"
        )
