"""What the gateway accepts, without any I/O: names, and a verdict for each record.

A bad record never blocks the next one: it goes to quarantine with its code and one sentence for the crew, and the good
rows beside it are stored.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.gateway.records import DTYPES, Batch, Block, Code, Kind, Schema
from cloud.quality import SUSPECT_CLOCK
from models.errors import WrongUse
from models.features import schema_id

PROTOCOL_VERSION = 3  # 2: alerts carry their session; 3: a batch may come in parts
OLDEST_PROTOCOL_VERSION = 1
FUTURE_NS = 600 * 1_000_000_000  # how far a device's clock may be ahead
LARGEST_SEQUENCE = 2**62  # of SQL's BIGINT, with room
_LARGEST_COUNT = 65_536  # rows in a batch
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")
_COLUMN = re.compile(r"[A-Za-z0-9_.:-]{1,48}@[0-9]{1,9}")
_COLUMNS = 4096


def check_id(what: str, value: str) -> str:
    """Return `value`, or raise `WrongUse`: names become parts of keys, so tricks end here."""
    if not _ID.fullmatch(value) or value.endswith((" ", ".")):
        raise WrongUse(
            f"{value[:80]!r} is no name for a {what}",
            mend="1 to 64 letters, digits, `.`, `_`, `-` or blanks, the first a letter or digit",
        )
    return value


def is_point(machine: str, channel: str) -> bool:
    """Whether a measuring point is well named; an empty channel is the machine as a whole."""
    return bool(_ID.fullmatch(machine)) and (not channel or bool(_ID.fullmatch(channel)))


def check_range(first: int, count: int) -> None:
    """Raise `WrongUse` unless the sequence numbers can be those of a batch."""
    if not (1 <= first <= LARGEST_SEQUENCE and 1 <= count <= _LARGEST_COUNT):
        raise WrongUse(
            f"a batch of {count} records from {first} on",
            mend=f"sequences start at 1, a batch has 1 to {_LARGEST_COUNT}",
        )


def check_schema(schema: Schema) -> Schema:
    """Return `schema`, or raise `WrongUse`: not what its id says, or names that cannot be the lake's columns."""
    columns = schema.columns
    if not 1 <= len(columns) <= _COLUMNS or len(set(columns)) != len(columns) or len(schema.units) != len(columns):
        raise WrongUse(f"a schema of {len(columns)} columns and {len(schema.units)} units, or one column twice")
    wrong = [c for c in columns if not _COLUMN.fullmatch(c)]
    if wrong:
        raise WrongUse(f"{wrong[0][:80]!r} is no feature id", mend="a feature id is name@definition")
    if schema.id != schema_id(columns):
        raise WrongUse(f"schema {schema.id:016x} has the columns of {schema_id(columns):016x}")
    return schema


class Malformed(Exception):
    """A batch whose columns do not fit each other: none of its records can be read."""

    def __init__(self, code: Code, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


_KINDS: frozenset[int] = frozenset(Kind)
_BYTES = 3  # the dtype of copies, with the number of the wire


def check_columns(batch: Batch) -> None:
    """Raise `Malformed` unless every column has the bytes that `count` records need."""
    shape, count = batch.shape, batch.rows
    if shape.kind not in _KINDS:
        raise Malformed(Code.UNKNOWN_SCHEMA, f"record kind {shape.kind} is not known here; update the gateway")
    if shape.dtype not in DTYPES:
        raise Malformed(
            Code.WRONG_LENGTH, f"values of dtype {shape.dtype}, which is not known here; update the gateway"
        )
    if (shape.kind == Kind.STATE) != (shape.dtype == _BYTES):
        raise Malformed(Code.WRONG_LENGTH, f"values of dtype {shape.dtype} in records of kind {shape.kind}")
    if not shape.width and shape.kind != Kind.GAP:
        raise Malformed(Code.WRONG_LENGTH, "records without values")
    for name, column, width in (
        ("point", batch.point, 2),
        ("event_time", batch.event_time, 8),
        ("quality", batch.quality, 1),
        ("values", batch.values, shape.width * int(DTYPES[shape.dtype][-1])),
    ):
        if len(column) != count * width:
            wrong = f"{name} has {len(column)} bytes where {count} records need {count * width}"
            raise Malformed(Code.WRONG_LENGTH, wrong)
    for gap in shape.gaps:
        if not 1 <= gap.first <= gap.last <= LARGEST_SEQUENCE:
            raise Malformed(Code.WRONG_LENGTH, f"a gap from {gap.first} to {gap.last}")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Which rows of a block are good, and why the others are not."""

    good: NDArray[np.bool_]  # (n,)
    codes: NDArray[np.uint8]  # (n,), 0 where good
    block: Block

    def reason(self, row: int) -> str:
        """One sentence for the crew: what, where, what to do."""
        block, code = self.block, Code(int(self.codes[row]))
        at = int(block.point[row])
        point = f"{block.machines[at]} {block.channels[at]}".strip() if at < len(block.machines) else "no known point"
        match code:
            case Code.NOT_FINITE:
                bad = np.flatnonzero(~np.isfinite(block.values[row]))
                first = int(bad[0]) if len(bad) else -1
                names = block.schema.columns if block.schema else ()
                value = names[first] if 0 <= first < len(names) else f"value {first}" if first >= 0 else "step or scale"
                return f"{point}: {value} is not a finite number; check the sensor and its cable"
            case Code.FUTURE_TIME:
                ahead = (int(block.event_time_ns[row] - block.received_ns[row])) / 1e9
                return f"{point}: measured {ahead:.0f} s in the future; set the device's clock"
            case Code.UNKNOWN_POINT:
                return f"{point}: record names a measuring point that its batch does not describe; update the device"
            case Code.UNKNOWN_SCHEMA:
                return f"{point}: schema {block.schema_id:016x} was not sent before its first use; update the device"
            case Code.WRONG_LENGTH:
                wanted = len(block.schema.columns) if block.schema else "at least 1"
                return f"{point}: {block.values.shape[1]} values where its schema has {wanted}; update the device"


def judge(block: Block) -> Verdicts:
    """Give a verdict for each record; the first rule that a record breaks is its code."""
    codes = np.zeros(len(block), np.uint8)

    def refuse(bad: NDArray[np.bool_] | np.bool_ | bool, code: Code) -> None:
        if np.any(bad):
            codes[(codes == 0) & bad] = code

    named = [is_point(m, c) for m, c in zip(block.machines, block.channels, strict=True)]
    if block.kind.named or block.values.size:  # a gap needs no measuring point
        refuse(block.point >= len(named), Code.UNKNOWN_POINT)
        if not all(named):
            refuse(np.isin(block.point, np.flatnonzero(~np.array(named))), Code.UNKNOWN_POINT)
        if block.kind.named and block.schema is None:
            refuse(True, Code.UNKNOWN_SCHEMA)
        if block.schema is not None and block.values.shape[1] != len(block.schema.columns):
            refuse(True, Code.WRONG_LENGTH)
        if block.values.dtype.kind == "f" and not np.isfinite(block.values).all():
            refuse(~np.isfinite(block.values).all(axis=1), Code.NOT_FINITE)
        refuse(not (math.isfinite(block.step) and math.isfinite(block.scale)), Code.NOT_FINITE)
    if not block.replay:  # a device that doubts its clock itself has said so in `quality`: its rows are kept
        ahead = block.event_time_ns > block.received_ns + FUTURE_NS
        refuse(ahead & (block.quality & SUSPECT_CLOCK == 0), Code.FUTURE_TIME)
    return Verdicts(codes == 0, codes, block)
