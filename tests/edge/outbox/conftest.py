from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edge.outbox import Outbox, Parcel, Range
from edge.types import Kind


def gap(ranges: Sequence[Range], reason: str) -> Parcel:
    """A gap report that a test can read."""
    return Parcel(Kind.GAP, 1, f"{reason}:{','.join(f'{a}-{b}' for a, b in ranges)}".encode())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def open_outbox(file: Path) -> Iterator[Callable[..., Outbox]]:
    opened: list[Outbox] = []

    def open_(**options: object) -> Outbox:
        opened.append(Outbox(file, gap=gap, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for outbox in opened:
        outbox.close()


@pytest.fixture
def features() -> Callable[..., Parcel]:
    def make(count: int = 1, size: int = 200, kind: Kind = Kind.FEATURES, fill: int = 1) -> Parcel:
        return Parcel(kind, count, bytes([fill]) * size)

    return make
