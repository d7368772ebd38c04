"""Copies of what devices learned of their machines (records of kind `state`): which one is a machine's newest.

Newest by the time at which it was made, but never later than it was received: a device whose clock ran ahead does not
keep its later copies from being found. Its order does not depend on the order of sending, in which backlog comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloud.catalogue.lake import Segment

if TYPE_CHECKING:
    from cloud.lake.reader import Lake

KIND = "state"


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """Whose copy of what."""

    site: str
    device: str
    machine: str


@dataclass(frozen=True, slots=True)
class Copy:
    """One machine's, as its device made it."""

    made_ns: int
    event_time_ns: int
    data: bytes


def newest(
    lake: Lake, site: str, device: str, machines: Iterable[str] | None = None, *, after_ns: Mapping[str, int]
) -> dict[str, Copy]:
    """Return the newest copy of each machine (None: all of the device's) that has one made after its `after_ns`.

    Segments are read from the newest on, and no further than until nothing newer can come. `ObjectDamaged` when one
    of them is not what was stored.
    """
    wanted = None if machines is None else set(machines)
    found: dict[str, Copy] = {}
    segments = lake.segments(KIND, site=site, machines=wanted)
    for segment in sorted(segments, key=_latest_ns, reverse=True):
        left = set(segment.machines) if wanted is None else wanted.intersection(segment.machines)
        if all(n in found and found[n].made_ns >= _latest_ns(segment) for n in left):
            continue
        for name, made_ns, row in _rows(lake, segment, state=True):
            if name.device != device or name.machine not in left or made_ns <= after_ns.get(name.machine, 0):
                continue
            if name.machine not in found or found[name.machine].made_ns < made_ns:
                found[name.machine] = Copy(made_ns, row["event_time_ns"], row["state"])
    return found


def holding_newest(lake: Lake) -> set[str]:
    """Return the paths of the segments that hold some machine's newest copy; `ObjectDamaged` as above."""
    holding: dict[Name, tuple[int, str]] = {}
    for segment in lake.segments(KIND):
        for name, made_ns, _ in _rows(lake, segment, state=False):
            holding[name] = max(holding.get(name, (0, "")), (made_ns, segment.path))
    return {path for _, path in holding.values()}


def _latest_ns(segment: Segment) -> int:
    """No copy in it was made later."""
    received = segment.last_received_ns
    return segment.last_time_ns if received is None else min(segment.last_time_ns, received)


def _rows(lake: Lake, segment: Segment, *, state: bool) -> Iterator[tuple[Name, int, dict[str, Any]]]:
    table = lake.table(segment, ["state"] if state else [])
    for batch in table.to_batches(max_chunksize=64):  # few at a time: each row is some kilobytes
        for row in batch.to_pylist():
            made_ns = min(row["event_time_ns"], row["received_ns"])
            yield Name(row["site"], row["device"], row["machine"]), made_ns, row
