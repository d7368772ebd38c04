"""Whether the cloud's memory of this epoch is this device's: rules without I/O (docs/decisions/0003).

Three things can come back from a backup: the device's store, the cloud's catalogue, or both. Each shows here, and the
answer is always a new epoch: both histories are kept, and nothing is mixed.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.outbox import Range, covers, merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """What the cloud says it has of a device and epoch."""

    stored: tuple[Range, ...]
    head: int  # its highest sequence that came by the stream; 0 for none
    digest: bytes  # of the parcel that ends there


def disagreement(cursor: Cursor, *, head: int, stored_head: int, digest: bytes | None) -> str:
    """Return why the device must begin a new epoch, or an empty string.

    `head` and `stored_head` are the device's own; `digest` is what it knows of the parcel that ends at the cloud's
    head, None if nothing.
    """
    highest = max([cursor.head, *(last for _, last in cursor.stored)])
    if highest > head:
        return f"the cloud has record {highest}, and this store ends at {head}: the store came back from a backup"
    if stored_head and not covers(merged(cursor.stored), stored_head, stored_head):
        return f"the cloud has lost record {stored_head}, which it had stored: it came back from a backup"
    if digest is not None and digest != cursor.digest:
        return f"record {cursor.head} is another one in the cloud: the store came back from a backup"
    if digest is None and cursor.head > stored_head:
        return f"the cloud has a record {cursor.head} that this store does not know: the store came back from a backup"
    return ""
