"""The plain types inside the gateway. Wire types stop in `wire`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cloud.gateway.intake import Intake


class Kind(enum.IntEnum):
    """Record kinds, with the numbers of the wire; the names in lower case are the lake's."""

    FEATURES = 1
    SCALARS = 2
    SPECTRUM = 3
    WAVEFORM = 4
    HEALTH = 6
    GAP = 7
    ASSESSMENT = 8

    @property
    def label(self) -> str:
        """The kind's name in the lake."""
        return self.name.lower()

    @property
    def named(self) -> bool:
        """Whether the values have names: a schema."""
        return self in NAMED


NAMED = frozenset({Kind.FEATURES, Kind.SCALARS, Kind.HEALTH, Kind.ASSESSMENT})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The n records of one batch, column by column; arrays are read-only views of the bytes that came."""

    stream: Stream
    first: int  # sequence of row 0; row i has first + i
    kind: Kind
    replay: bool
    schema: Schema | None  # None where the kind has none, or where the device did not send it
    schema_id: int
    machines: tuple[str, ...]  # by point
    channels: tuple[str, ...]
    point: NDArray[np.uint16]  # (n,)
    event_time_ns: NDArray[np.int64]  # (n,)
    quality: NDArray[np.uint8]  # (n,)
    values: NDArray[np.float32] | NDArray[np.int16]  # (n, width)
    step: float
    scale: float
    source: str
    gaps: tuple[Gap, ...]
    digest: bytes
    received_ns: int

    def __len__(self) -> int:
        return len(self.event_time_ns)

    @property
    def last(self) -> int:
        """Sequence of the last row."""
        return self.first + len(self) - 1


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

    @property
    def sequences(self) -> NDArray[np.int64]:
        """The rows' sequence numbers, (rows,)."""
        return self.rows.astype(np.int64) + self.block.first


@dataclass(frozen=True, slots=True)
class Mark:
    """What a sequence held: the digest of the batch that ends at it."""

    sequence: int
    digest: bytes


@dataclass(slots=True)
class Load:
    """What one flush stores, all in one commit."""

    pieces: list[Piece] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    heads: dict[Stream, Mark] = field(default_factory=dict)  # the highest batch end of each stream
    bytes: int = 0
    taken: dict[Intake, int] = field(default_factory=dict)  # bytes of each device's own budget

    def mark(self, stream: Stream, head: Mark) -> None:
        """Remember `head` if it is the stream's highest."""
        if stream not in self.heads or self.heads[stream].sequence < head.sequence:
            self.heads[stream] = head

    def __bool__(self) -> bool:
        return bool(self.pieces or self.rejected)
