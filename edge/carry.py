"""What a device has learned, as one file: a device that replaces it continues with the baselines, alarms and trends.

The file holds the state's parts as they are, with a checksum. Undelivered records stay where they are: they are
numbered for the old store, and the new device begins numbers of its own.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from edge.outbox import Outbox
from models.errors import WrongUse

_FORMAT = 1
_PARTS = ("judge/", "detector/", "position/", "snapshot/", "open/", "trend/")


class Carried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file; `parts` are base64 in JSON, by their name in the state."""

    format: int
    checksum: str
    parts: dict[str, bytes]

    @property
    def machines(self) -> list[str]:
        """The machines whose healthy start is in it."""
        return sorted(name.removeprefix("detector/") for name in self.parts if name.startswith("detector/"))


def export_state(outbox: Outbox, file: Path) -> Carried:
    """Write what the store has learned; WrongUse when it has learned nothing, or the file cannot be written."""
    parts = {name: outbox.state(name) or b"" for name in outbox.state_names(_PARTS)}
    carried = Carried(_FORMAT, _checksum(parts), parts)
    if not carried.machines:
        raise WrongUse("this store has learned nothing yet", mend="name the store of a device that has run")
    partial = file.with_name(file.name + ".partial")
    try:
        with partial.open("wb") as stream:
            stream.write(msgspec.json.encode(carried, order="deterministic"))
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(file)
    except OSError as e:
        raise WrongUse(f"cannot be written: {e.strerror}", where=str(file), mend="name another file") from e
    return carried


def _checksum(parts: dict[str, bytes]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def read_state(file: Path) -> Carried:
    """The file's content; WrongUse when it is not whole, or written by a newer Forewarn."""
    try:
        carried = msgspec.json.decode(file.read_bytes(), type=Carried)
    except OSError as e:
        raise WrongUse(f"cannot be read: {e.strerror}", where=str(file), mend="name the exported file") from e
    except msgspec.DecodeError as e:
        raise WrongUse(f"is no exported state: {e}", where=str(file), mend="export it again") from e
    if carried.format != _FORMAT:
        raise WrongUse(f"has format {carried.format}, not {_FORMAT}", where=str(file), mend="update")
    foreign = [name for name in carried.parts if not name.startswith(_PARTS)]
    if foreign or carried.checksum != _checksum(carried.parts):
        raise WrongUse("was changed or damaged since it was exported", where=str(file), mend="export it again")
    return carried


def import_state(outbox: Outbox, carried: Carried, *, replace: bool = False) -> None:
    """Take the state over in one transaction; WrongUse where the store knows a machine already, unless `replace`."""
    known = [m for m in carried.machines if outbox.state(f"detector/{m}") is not None]
    if known and not replace:
        raise WrongUse(
            f"this store has learned {', '.join(known)} already", mend="use --replace to put the file's in its place"
        )
    outbox.append([], carried.parts)
