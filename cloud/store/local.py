"""The object store in a local folder: the default, and what the demo uses.

A put is a temporary file, synced, then renamed into place, then its folder synced: after a power cut the key has the
old bytes or the new ones, never a part. Temporary files live in a folder of their own, so that no listing shows them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from cloud.store.keys import check_key, check_prefix
from models.errors import Unavailable

_INCOMING = ".incoming"


class LocalStore:
    """Objects as files below `root`; safe between threads and processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / _INCOMING

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, durably, replacing what was there."""
        target = self._path(key)
        temporary = self._incoming / secrets.token_hex(12)
        try:
            _make_folder(self._incoming)
            _make_folder(target.parent)
            try:
                _write_synced(temporary, data)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(target.parent)
        except OSError as e:
            raise Unavailable(f"cannot write {len(data)} bytes: {e}", where=str(target)) from e

    def get(self, key: str) -> bytes:
        """Return the bytes under `key`; `KeyError` when there are none."""
        path = self._path(key)
        try:
            return path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise KeyError(key) from None
        except OSError as e:
            raise Unavailable(f"cannot read: {e}", where=str(path)) from e

    def delete(self, key: str) -> None:
        """Remove `key`; folders that become empty stay, they cost nothing."""
        path = self._path(key)
        with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
            try:
                path.unlink()
            except PermissionError as e:
                raise Unavailable(f"cannot delete: {e}", where=str(path)) from e

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, sorted."""
        check_prefix(prefix)
        start = self._root / prefix.rpartition("/")[0]
        keys = []
        for folder, subfolders, files in os.walk(start):
            if Path(folder) == self._root and _INCOMING in subfolders:
                subfolders.remove(_INCOMING)
            keys += [(Path(folder) / name).relative_to(self._root).as_posix() for name in files]
        yield from sorted(key for key in keys if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        if check_key(key).split("/")[0] == _INCOMING:
            raise ValueError(f"{_INCOMING} is reserved: {key!r}")
        return self._root / key


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _make_folder(path: Path) -> None:
    """Make `path` and its parents, each durable: a synced file in a folder that vanishes is lost as well."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
