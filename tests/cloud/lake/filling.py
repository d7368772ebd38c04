"""A lake with rows, made by the gateway's own parts without a gateway."""

from __future__ import annotations

import time

import numpy as np

from cloud.catalogue.access import writing
from cloud.catalogue.ingest import Advance, CursorKey, Ingest, commit
from cloud.catalogue.lake import Segment
from cloud.gateway.records import Block, Kind, Piece, Schema, Stream
from cloud.gateway.segments import encode, group
from cloud.lake.objects import new_key, sha256
from cloud.ranges import Ranges
from cloud.wiring import Cloud
from models.features import schema_id

RMS = ("rms@1", "peak@1")
WIDE = ("rms@1", "peak@1", "envelope_bpfo@1")


def fill(
    cloud: Cloud,
    first: int,
    count: int,
    *,
    machine: str = "P-101",
    columns: tuple[str, ...] = RMS,
    site: str = "hall",
    device: str = "edge-1",
    now_ns: int | None = None,
) -> str:
    """Store one segment as one commit and return its path; event times are the sequences, in seconds."""
    now_ns = now_ns or time.time_ns()
    sequences = np.arange(first, first + count)
    block = Block(
        stream=Stream(site, device, 7),
        sequence=sequences,
        received_ns=np.full(count, now_ns),
        kind=Kind.FEATURES,
        replay=False,
        schema=Schema(schema_id(columns), columns, ("g",) * len(columns)),
        schema_id=schema_id(columns),
        machines=(machine,),
        channels=("x",),
        point=np.zeros(count, np.uint16),
        event_time_ns=sequences.astype(np.int64) * 10**9,
        quality=np.zeros(count, np.uint8),
        values=np.repeat(sequences[:, None], len(columns), 1).astype(np.float32),
        step=0.0,
        scale=1.0,
        source="",
        gaps=(),
    )
    return keep(cloud, block, now_ns)


def fill_copy(
    cloud: Cloud,
    sequence: int,
    *,
    made_s: int,
    received_s: int | None = None,
    machine: str = "P-101",
    device: str = "edge-1",
    epoch: int = 7,
) -> str:
    """Store a copy of what a device learned, whose bytes say what it is, as one segment; return its path."""
    received_ns = (made_s if received_s is None else received_s) * 10**9
    state = f"{device} {machine} {made_s} {sequence}".encode()
    block = Block(
        stream=Stream("hall", device, epoch),
        sequence=np.array([sequence]),
        received_ns=np.array([received_ns]),
        kind=Kind.STATE,
        replay=False,
        schema=None,
        schema_id=0,
        machines=(machine,),
        channels=("",),
        point=np.zeros(1, np.uint16),
        event_time_ns=np.array([made_s * 10**9]),
        quality=np.zeros(1, np.uint8),
        values=np.frombuffer(state, np.uint8)[None],
        step=0.0,
        scale=1.0,
        source="",
        gaps=(),
    )
    return keep(cloud, block, received_ns)


def keep(cloud: Cloud, block: Block, now_ns: int) -> str:
    """Store a block as one segment and one commit."""
    stream = block.stream
    ((key, pieces),) = group([Piece(block, np.arange(len(block)))]).items()
    made = encode(key, pieces)
    path = new_key("demo", stream.site, key.kind, now_ns)
    cloud.store.put(path, made.data)
    row = Segment(
        site=stream.site,
        path=path,
        kind=key.kind,
        schema=key.schema,
        rows=made.rows,
        bytes=len(made.data),
        sha256=sha256(made.data),
        first_time_ns=made.first_time_ns,
        last_time_ns=made.last_time_ns,
        machines=made.machines,
        last_received_ns=made.last_received_ns,
    )
    first, last = int(block.sequence[0]), int(block.sequence[-1])
    advance = Advance(Ranges([(first, last)]), (last, b"d"))
    with writing(cloud.engine) as connection:
        owner = CursorKey("demo", stream.site, stream.device, stream.epoch)
        work = Ingest(segments=[row], advances={owner: advance}, schemas={})
        commit(connection, "demo", work, now_ns)
    return path
