"""A process that keeps records in an outbox, under `disk_shim.c`: `keeping.py FOLDER LOG EIO COUNT`.

Says on the log, among the writes and syncs, which append has returned (`k`, with its last sequence number) and which it
is about to forget (`f`).
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from edge import wire
from edge.outbox import Outbox, Parcel
from edge.types import Kind
from models.errors import Unavailable


def content(sequence: int) -> bytes:
    """What the record of this number holds; some are larger than a page."""
    return struct.pack("<q", sequence) * (40 if sequence % 7 else 1500)


def main() -> None:
    folder, log, eio, count = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(op: bytes, number: int) -> None:
        os.write(descriptor, struct.pack("<cqqi", op, number, 0, 0))

    outbox = Outbox(folder / "outbox.sqlite", gap=wire.gap_parcel)
    for n in range(1, count + 1):
        if n == count // 2 and eio.name != "none":
            eio.touch()
            try:
                outbox.append([Parcel(Kind.FEATURES, 1, b"must not be kept")])
            except Unavailable:
                say(b"e", n)
            eio.unlink()
        first = outbox.head + 1
        parcel = Parcel(Kind.FEATURES, 1, content(n))
        kept = outbox.append([parcel], {"n": str(n).encode()})
        say(b"k", kept.first)
        if n % 10 == 0:
            say(b"f", first - 5)
            outbox.stored(outbox.epoch, [(1, first - 5)])
    os._exit(0)


main()
