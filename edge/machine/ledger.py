"""A list of what was kept, written beside the delivery path: what auditors and tests count against.

One line for each parcel after its append has returned: `epoch first count kind`. `end` closes the list when every
source has come to its end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from edge.outbox import Kept, Parcel
from models.errors import WrongUse


class Ledger:
    """An append-only text file; a line is written by one call, so that a killed process leaves whole lines."""

    def __init__(self, file: Path | None) -> None:
        """`file` None writes nothing."""
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        if file is None:
            return
        try:
            self._descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as e:
            raise WrongUse(f"cannot write the ledger: {e.strerror}", where=str(file)) from e

    def note(self, kept: Kept, parcels: Sequence[Parcel]) -> None:
        """Write what one append kept."""
        lines, first = [], kept.first
        for parcel in parcels:
            lines.append(f"{kept.epoch} {first} {parcel.count} {parcel.kind.name.lower()}\n")
            first += parcel.count
        self._write("".join(lines))

    def end(self) -> None:
        """Every source has come to its end."""
        self._write("end\n")

    def _write(self, text: str) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.write(self._descriptor, text.encode())

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
