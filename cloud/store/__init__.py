"""The object store: immutable bytes under a key. One file per backend, one contract suite for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class ObjectStore(Protocol):
    """What the rest of the cloud needs of a store; every call is synchronous, bounded in time and safe in threads.

    Keys are relative, `/`-separated, and checked: no empty part, no `.` or `..`, at most 400 printable ASCII
    characters.
    A backend's own failure becomes `models.errors.Unavailable`, a missing key `KeyError`.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store `data` whole or not at all, also when the process is killed; an existing key is replaced."""

    def get(self, key: str) -> bytes:
        """Return the bytes under `key`."""
        ...

    def delete(self, key: str) -> None:
        """Remove `key`; a missing key is fine."""

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, sorted."""
        ...
