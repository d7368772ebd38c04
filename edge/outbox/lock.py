"""One agent per store: two would number different records alike.

The kernel holds the lock and releases it however the process ends; the text in the file only serves the error message.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from models.errors import WrongUse


class StoreLock:
    """Exclusive use of a store's folder, as a context manager; WrongUse names the holder, or the folder's fault."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lock"
        if not folder.is_dir():
            raise WrongUse("this folder for the device's store does not exist", where=str(folder), mend="create it")
        try:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as e:
            raise WrongUse(
                f"cannot write to the device's store: {e.strerror}", where=str(folder), mend="make the folder writable"
            ) from e

    def __enter__(self) -> StoreLock:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            holder = os.pread(self._descriptor, 100, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise WrongUse(
                f"another agent uses this store: {holder}",
                where=str(self._file.parent),
                mend="stop it, or give each agent a store of its own",
            ) from e
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()}".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
