"""What a device has learned of a machine, as bytes: copied to the cloud, given to a replacement, or carried by hand.

A copy is one line (`forewarn state`, format, length, sha256) and then its content, compressed; a file holds one copy or
several behind each other. In it are healthy starts, limits, the model's history and open alarms. Not in it is what
belongs to one device: undelivered records, which are numbered for its store, its clock, and where its sources stood.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge.outbox import Outbox
from models.errors import WrongUse

FORMAT = 2
LEARNED = ("judge", "detector", "extractor")  # what a machine's loop goes on from
_SHOWN = ("open", "trend")  # what the device's own page shows beside
_MAGIC = b"forewarn state"
_LONGEST_LINE = 128
_LARGEST = 64_000_000  # bytes of one copy's content: what is larger was never written by a device


class Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One machine's copy; `parts` by their name in the device's state."""

    machine: str
    made_ns: int
    parts: dict[str, bytes]

    def part(self, name: str) -> bytes:
        """One of LEARNED; WrongUse when it is not there."""
        try:
            return self.parts[f"{name}/{self.machine}"]
        except KeyError as e:
            raise WrongUse(f"has no {name}", where=f"the copy of {self.machine}", mend="export it again") from e


def pack(copy: Copy) -> bytes:
    """The copy with the line that tells whether it is whole."""
    body = zlib.compress(msgspec.msgpack.encode(copy, order="deterministic"), 9)
    line = b"%s %d %d %s\n" % (_MAGIC, FORMAT, len(body), hashlib.sha256(body).hexdigest().encode())
    return line + body


def unpack(data: bytes) -> list[Copy]:
    """Copies that stand behind each other, at least one; WrongUse when they are not whole, or of a newer Forewarn."""
    copies: list[Copy] = []
    while data or not copies:
        line = data[:_LONGEST_LINE].partition(b"\n")[0]
        length, digest = _line(line)
        body, data = data[len(line) + 1 :][:length], data[len(line) + 1 + length :]
        if len(body) != length or hashlib.sha256(body).hexdigest().encode() != digest:
            raise WrongUse("was changed or damaged since it was exported", mend="export it again")
        copies.append(_content(body))
    return copies


def _line(line: bytes) -> tuple[int, bytes]:
    """Length and digest of what follows."""
    words = line.removeprefix(_MAGIC).split(b" ")
    if not line.startswith(_MAGIC) or len(words) != 4 or not (words[1].isdigit() and words[2].isdigit()):
        raise WrongUse("is no exported state", mend="export it again")
    if int(words[1]) != FORMAT:
        raise WrongUse(f"has format {int(words[1])}, not {FORMAT}", mend="update")
    return int(words[2]), words[3]


def _content(body: bytes) -> Copy:
    try:
        opened = zlib.decompressobj()
        copy = msgspec.msgpack.decode(opened.decompress(body, _LARGEST), type=Copy)
    except (zlib.error, msgspec.DecodeError) as e:
        raise WrongUse(f"is no exported state: {e}", mend="export it again") from e
    foreign = [n for n in copy.parts if n.partition("/")[0] not in LEARNED + _SHOWN or _machine(n) != copy.machine]
    if foreign:
        raise WrongUse(f"holds {foreign[0][:80]!r}, which is no part of {copy.machine[:80]}", mend="export it again")
    return copy


def _machine(part: str) -> str:
    return f"{part}//".split("/")[1]


# --- by hand ----------------------------------------------------------------------------------------------------------


def export_state(outbox: Outbox, file: Path, now_ns: Callable[[], int] = time.time_ns) -> list[str]:
    """Write what the store has learned, and name the machines; WrongUse when that is nothing, or cannot be written."""
    names = outbox.state_names(tuple(f"{part}/" for part in LEARNED + _SHOWN))
    machines = sorted({_machine(n) for n in names if n.startswith("detector/")})
    if not machines:
        raise WrongUse("this store has learned nothing yet", mend="name the store of a device that has run")
    made_ns = now_ns()
    copies = [
        Copy(machine, made_ns, {n: outbox.state(n) or b"" for n in names if _machine(n) == machine})
        for machine in machines
    ]
    write_file(file, [pack(copy) for copy in copies])
    return machines


def write_file(file: Path, copies: Sequence[bytes]) -> None:
    """Write copies behind each other, all or nothing; WrongUse when that cannot be done."""
    partial = file.with_name(file.name + ".partial")
    try:
        with partial.open("wb") as stream:
            stream.writelines(copies)
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(file)
    except OSError as e:
        raise WrongUse(f"cannot be written: {e.strerror}", where=str(file), mend="name another file") from e


def read_state(file: Path) -> list[Copy]:
    """The file's copies; WrongUse when it is not whole, or written by a newer Forewarn."""
    try:
        return unpack(file.read_bytes())
    except OSError as e:
        raise WrongUse(f"cannot be read: {e.strerror}", where=str(file), mend="name the exported file") from e
    except WrongUse as e:
        raise WrongUse(e.what, where=str(file), mend=e.mend) from e


def import_state(outbox: Outbox, copies: Sequence[Copy], *, replace: bool = False) -> None:
    """Take the state over in one transaction; WrongUse where the store knows a machine already, unless `replace`."""
    known = [c.machine for c in copies if outbox.state(f"detector/{c.machine}") is not None]
    if known and not replace:
        raise WrongUse(
            f"this store has learned {', '.join(known)} already", mend="use --replace to put the file's in its place"
        )
    outbox.append([], {name: value for copy in copies for name, value in copy.parts.items()})
