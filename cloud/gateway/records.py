"""The plain types inside the gateway. Wire types stop in `wire`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.ranges import Range, Ranges


class Kind(enum.IntEnum):
    """Record kinds, with the numbers of the wire; the names in lower case are the lake's."""

    FEATURES = 1
    SCALARS = 2
    SPECTRUM = 3
    WAVEFORM = 4
    HEALTH = 6
    GAP = 7
    ASSESSMENT = 8
    STATE = 9  # bytes that only devices read

    @property
    def label(self) -> str:
        """The kind's name in the lake."""
        return self.name.lower()

    @property
    def named(self) -> bool:
        """Whether the values have names: a schema."""
        return self in NAMED


NAMED = frozenset({Kind.FEATURES, Kind.SCALARS, Kind.HEALTH, Kind.ASSESSMENT})


DTYPES = {1: "<f4", 2: "<i2", 3: "<u1"}  # of values, by the numbers of the wire


class Code(enum.IntEnum):
    """Why a record is refused for good, with the numbers of the wire."""

    NOT_FINITE = 1
    WRONG_LENGTH = 2
    FUTURE_TIME = 3
    UNKNOWN_SCHEMA = 4
    UNKNOWN_POINT = 5


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """Whose sequence numbers: one epoch of one device; the enterprise is the gateway's own."""

    site: str
    device: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Schema:
    """Named columns of float32 values."""

    id: int
    columns: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Sequences of the same epoch that will never come, and why."""

    first: int
    last: int
    reason: str


class Shape(NamedTuple):
    """What is the same for all rows of a batch; batches of one stream and shape are joined to one block."""

    kind: int  # also one that is not known here
    replay: bool
    schema: Schema | None  # None where the kind has none, or where the device did not send it
    schema_id: int
    machines: tuple[str, ...]  # by point
    channels: tuple[str, ...]
    dtype: int  # with the numbers of the wire
    width: int
    step: float
    scale: float
    source: str
    gaps: tuple[Gap, ...]


class Batch(NamedTuple):
    """One batch as it came: its columns are bytes, little-endian, and nobody has looked into them yet."""

    shape: Shape
    first: int  # sequence of row 0; row i has first + i
    rows: int
    point: bytes  # uint16
    event_time: bytes  # int64, ns
    quality: bytes  # uint8
    values: bytes  # count x width of dtype
    digest: bytes
    received_ns: int

    @property
    def last(self) -> int:
        """Sequence of the last row."""
        return self.first + self.rows - 1

    @property
    def bytes(self) -> int:
        """What its columns, names and reasons take."""
        shape = self.shape
        texts = (*shape.machines, *shape.channels, *(g.reason for g in shape.gaps))
        return sum(map(len, (self.point, self.event_time, self.quality, self.values, *texts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """n records of one stream and shape, column by column, in the order in which they came."""

    stream: Stream
    kind: Kind
    replay: bool
    schema: Schema | None
    schema_id: int
    machines: tuple[str, ...]  # by point
    channels: tuple[str, ...]
    step: float
    scale: float
    source: str
    gaps: tuple[Gap, ...]
    sequence: NDArray[np.int64]  # (n,)
    received_ns: NDArray[np.int64]  # (n,)
    point: NDArray[np.uint16]  # (n,)
    event_time_ns: NDArray[np.int64]  # (n,)
    quality: NDArray[np.uint8]  # (n,)
    values: NDArray[np.float32] | NDArray[np.int16] | NDArray[np.uint8]  # (n, width)

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that goes to quarantine: its identity, why, and its wire form, so that nothing is lost."""

    stream: Stream
    sequence: int
    code: Code
    reason: str
    record: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of a block that are good and new: indices into the block, ascending."""

    block: Block
    rows: NDArray[np.intp]

    def of(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return these rows of one of the block's columns; the column itself where that is all of it."""
        return column if len(self.rows) == len(self.block) else column[self.rows]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a sequence held: the digest of the batch that ends at it."""

    sequence: int
    digest: bytes


@dataclass(slots=True)
class Share:
    """What one device has in a load."""

    batches: list[Batch] = field(default_factory=list)
    new: list[list[Range]] = field(default_factory=list)  # by batch: its sequences that nobody took before
    sequences: Ranges = field(default_factory=Ranges)  # all that are new
    head: Mark = Mark(0, b"")
    bytes: int = 0  # taken from the device's own budget, and from the gateway's

    def add(self, batch: Batch, new: list[Range], size: int) -> None:
        """Take one batch, of which the sequences `new` count."""
        self.batches.append(batch)
        self.new.append(new)
        self.sequences.update(new)
        if batch.last > self.head.sequence:
            self.head = Mark(batch.last, batch.digest)
        self.bytes += size
