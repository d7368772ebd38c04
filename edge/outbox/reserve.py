"""A little room kept for the moment when the disk is full: forgetting old records writes to the log, too."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

_BYTES = 1 << 20
_log = structlog.get_logger()


class Reserve:
    """A file of one MiB that can be given up at once."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def refill(self) -> None:
        """Take the room again if there is any; without it the outbox works, and has less to fall back on."""
        if self._file.exists():
            return
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as e:
            _log.warning("no reserve for a full disk", file=str(self._file), reason=e.strerror)
            return
        try:
            os.posix_fallocate(descriptor, 0, _BYTES)
        except OSError:
            self._file.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the room to whoever needs it now."""
        self._file.unlink(missing_ok=True)
