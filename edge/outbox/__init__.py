"""What the device has to say and has not yet been told is safe: one SQLite file between sampling and network."""

from edge.outbox.lock import StoreLock
from edge.outbox.outbox import Outbox
from edge.outbox.types import Entry, Kept, Parcel, Range, covers, digest_of, merged

__all__ = ["Entry", "Kept", "Outbox", "Parcel", "Range", "StoreLock", "covers", "digest_of", "merged"]
