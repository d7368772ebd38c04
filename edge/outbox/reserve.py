"""A little room kept for the moment when the disk is full: forgetting old records writes to the log, too."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import structlog

_BYTES = 1 << 20
_log = structlog.get_logger()


class Reserve:
    """A file of one MiB that can be given up at once."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def refill(self) -> bool:
        """Take the room again if there is plenty; without it the outbox works, and has less to fall back on."""
        if self._file.exists():
            return True
        if shutil.disk_usage(self._file.parent).free < 3 * _BYTES:
            return False
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as e:
            _log.warning("no reserve for a full disk", file=str(self._file), reason=e.strerror)
            return False
        try:
            os.posix_fallocate(descriptor, 0, _BYTES)
        except OSError:
            self._file.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)
        return True

    def release(self) -> None:
        """Give the room to whoever needs it now."""
        self._file.unlink(missing_ok=True)
