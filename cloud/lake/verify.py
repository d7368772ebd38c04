"""Checks the whole lake against the catalogue: every object's bytes, and every record's identity exactly once."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from cloud.catalogue import tables as t
from cloud.catalogue.access import snapshot
from cloud.catalogue.lake import Segment, live, read_segment
from cloud.lake import ledger
from cloud.lake.ledger import DeviceLedger, Key
from cloud.lake.objects import ObjectDamaged, read_checked
from cloud.ranges import Ranges, runs

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cloud.store import ObjectStore

Sequences = NDArray[np.int64]


def verify(engine: Engine, store: ObjectStore, enterprise: str) -> Iterator[str]:
    """Yield one sentence for each thing that is not as it must be; nothing when all is well."""
    with snapshot(engine) as connection:  # ingest may go on meanwhile
        segments = [read_segment(row) for row in connection.execute(live(enterprise))]
        cursors = ledger.read(connection, enterprise)
        found = _quarantined(connection, enterprise)
    whole = True
    for segment in segments:
        try:
            rows = _rows(segment, read_checked(store, segment.path, segment.sha256))
        except ObjectDamaged as e:
            whole = False
            yield str(e)
            continue
        if sum(map(len, rows.values())) != segment.rows:
            yield f"{segment.path}: the catalogue counts {segment.rows} rows, the object has others"
        for key, sequences in rows.items():
            found[key].append(sequences)
    for one in cursors:
        yield from _compare(one, found.pop((one.site, one.device, one.epoch), []), whole=whole)
    for (site, device, epoch), rest in found.items():
        yield f"{site}/{device} epoch {epoch}: {sum(map(len, rest))} records without a cursor"


def _compare(one: DeviceLedger, found: list[Sequences], *, whole: bool) -> Iterator[str]:
    """Compare a cursor with the identities that are really there; with damaged objects, only doubles can be told."""
    who = f"{one.site}/{one.device} epoch {one.epoch}"
    sequences = np.sort(np.concatenate([np.empty(0, np.int64), *found]))
    twice = sequences[1:][np.diff(sequences) == 0]
    if len(twice):
        yield f"{who}: {len(twice)} records are stored more than once, the first is {twice[0]}"
    there = Ranges(runs(np.unique(sequences)))
    known = there.copy()
    known.update(one.expired)
    lost = sum(len(known.missing(first, last)) for first, last in one.stored)
    extra = sum(len(one.stored.missing(first, last)) for first, last in there)
    if extra or (lost and whole):
        yield f"{who}: {lost} records of its cursor are nowhere, {extra} are stored beyond its cursor"


def _quarantined(connection: Connection, enterprise: str) -> dict[Key, list[Sequences]]:
    c = t.quarantine.c
    found: dict[Key, list[Sequences]] = defaultdict(list)
    query = select(c.site, c.device, c.epoch, c.sequence).where(c.enterprise == enterprise)
    for row in connection.execute(query):
        found[row.site, row.device, row.epoch].append(np.array([row.sequence], np.int64))
    return found


def _rows(segment: Segment, data: bytes) -> dict[Key, Sequences]:
    """Return the sequences in a segment by stream."""
    table: Any = pq.read_table(io.BytesIO(data), columns=["device", "epoch", "sequence"])
    sequence = table["sequence"].to_numpy()
    epoch = table["epoch"].to_numpy()
    device = np.array(table["device"].to_pylist(), object)
    keys = sorted(set(zip(device.tolist(), epoch.tolist(), strict=True)))
    return {(segment.site, d, e): sequence[(device == d) & (epoch == e)] for d, e in keys}
