"""The lake's objects: their names, their sums, and their form."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import ForewarnError

if TYPE_CHECKING:
    from cloud.store import ObjectStore

_NAMES = ("device", "machine", "channel", "source")
_AGE = re.compile(r"/([0-9a-f]{16})-[0-9a-f]{8}\.parquet$")


def new_key(enterprise: str, site: str, kind: str, now_ns: int) -> str:
    """Return a new segment's key: partitions first, then the time it was made, so that names sort by age."""
    date = datetime.fromtimestamp(now_ns / 1e9, UTC).date().isoformat()
    name = f"{now_ns:016x}-{secrets.token_hex(4)}.parquet"
    return f"{prefix(enterprise)}site={site}/kind={kind}/date={date}/{name}"


def prefix(enterprise: str) -> str:
    """Return what all keys of an enterprise's lake start with."""
    return f"lake/enterprise={enterprise}/"


def made_ns(key: str) -> int | None:
    """Return when an object was made, from its name; None for a name that is not ours."""
    found = _AGE.search(key)
    return int(found[1], 16) if found else None


def sha256(data: bytes) -> str:
    """Return the hex digest that the catalogue keeps."""
    return hashlib.sha256(data).hexdigest()


class ObjectDamaged(ForewarnError):
    """An object is absent or is not what the catalogue says it is."""


def read_checked(store: ObjectStore, path: str, digest: str) -> bytes:
    """Return an object's bytes after comparing them with the catalogue's digest; `ObjectDamaged` otherwise."""
    mend = "restore it from a backup of the object store; `forewarn lake verify` lists all damage"
    try:
        data = store.get(path)
    except KeyError as e:
        raise ObjectDamaged("the object is missing", where=path, mend=mend) from e
    if sha256(data) != digest:
        raise ObjectDamaged("the object's bytes are not those that were stored", where=path, mend=mend)
    return data


def to_parquet(schema: Any, tables: Iterable[Any]) -> bytes:
    """Return tables of `schema` as a segment's bytes, each a row group: zstd-1 over what suits each column's type.

    Names are dictionaries, integers differences, floats split into byte streams: beside plain columns that is a quarter
    fewer bytes for features, in less time (docs/decisions/0010).
    """
    encodings = {f.name: "DELTA_BINARY_PACKED" for f in schema if pa.types.is_int64(f.type)}
    encodings |= {f.name: "BYTE_STREAM_SPLIT" for f in schema if pa.types.is_floating(f.type)}
    out = pa.BufferOutputStream()  # not a Python file: every page would wait for the interpreter
    with pq.ParquetWriter(
        out,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[n for n in _NAMES if n in schema.names],
        column_encoding=encodings,
        write_statistics=["sequence"],
    ) as writer:
        for table in tables:
            writer.write_table(table)
    data: bytes = out.getvalue().to_pybytes()
    return data


def plain(table: Any) -> Any:
    """Return the table with names as strings rather than dictionaries, which differ from segment to segment."""
    fields = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))
