"""What the agent and the trial's process say to each other over their socket: msgpack into typed structs, never pickle.

The trial asks for files and ends with one verdict; the agent answers each question with chunks and an end.
"""

from __future__ import annotations

import enum
import socket
from typing import Self

import msgspec

LARGEST_MESSAGE = 1 << 20  # bytes; a chunk of a file is smaller
CHUNK = 1 << 16
_HEADER = 4  # bytes that say how long a message is


class Job(msgspec.Struct, frozen=True, tag=True):
    """What the trial shall do: find, verify and try the bundle that is assigned to a machine class."""

    machine_class: str
    bundle: str  # the TUF target's name; empty: confirm that nothing is assigned
    trusted_root: bytes  # root.json as it came with the device; empty: `file` is only tried, its origin is not proven
    metadata_dir: str  # where TUF's metadata is kept between trials: the memory against rollback attacks
    file: str  # where the bundle shall lie
    known_files: tuple[str, ...] = ()  # bundles that are already here and need no download if they are the one


class Ask(msgspec.Struct, frozen=True, tag=True):
    """The trial wants a file of the signed repository, `metadata/...` or `targets/...`."""

    path: str


class Chunk(msgspec.Struct, frozen=True, tag=True):
    """A part of the file; an empty one ends it."""

    data: bytes


class Missing(msgspec.Struct, frozen=True, tag=True):
    """The repository has no such file."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The file could not be fetched now."""

    reason: str


class Outcome(enum.Enum):
    """What became of a trial."""

    ACCEPTED = "accepted"  # the file is verified and has passed; with an empty `bundle`: nothing is assigned, signed
    REFUSED = "refused"  # the bundle itself is at fault: trying it again changes nothing
    UNTRUSTED = "untrusted"  # the metadata is at fault (forged, older, expired): newer metadata may mend it
    UNAVAILABLE = "unavailable"  # the network
    DIED = "died"  # the trial's process ended without a word: killed, crashed, or out of memory


class Verdict(msgspec.Struct, frozen=True, tag=True):
    """The trial's last word."""

    outcome: Outcome
    reason: str = ""
    name: str = ""
    sha256: str = ""
    feature_difference: float = 0.0  # largest difference from the golden features, in units of their scale
    output_difference: float = 0.0  # of degradation absolute, of remaining life relative
    peak_rss_mb: float = 0.0


FromTrial = Ask | Verdict
ToTrial = Job | Chunk | Missing | Failed
_FROM_TRIAL: msgspec.msgpack.Decoder[FromTrial] = msgspec.msgpack.Decoder(FromTrial)
_TO_TRIAL: msgspec.msgpack.Decoder[ToTrial] = msgspec.msgpack.Decoder(ToTrial)


class Pipe:
    """One end of the socket: whole messages, each after its length."""

    def __init__(self, end: socket.socket) -> None:
        self._socket, self._incoming = end, end.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._incoming.close()
        self._socket.close()

    def send(self, message: bytes) -> None:
        """Hand one message over; OSError when nobody listens any more."""
        self._socket.sendall(len(message).to_bytes(_HEADER) + message)

    def receive(self) -> bytes:
        """Wait for one message; EOFError when the other end is gone, OSError when it says too much at once."""
        length = int.from_bytes(self._read(_HEADER))
        if length > LARGEST_MESSAGE:
            raise OSError(f"a message of {length} bytes")
        return self._read(length)

    def _read(self, length: int) -> bytes:
        data = self._incoming.read(length)
        if len(data) < length:
            raise EOFError
        return data


def encode(message: FromTrial | ToTrial) -> bytes:
    """One message as bytes."""
    return msgspec.msgpack.encode(message)


def decode_from_trial(data: bytes) -> FromTrial:
    """Undo `encode` on the agent's side; anything else raises `msgspec.DecodeError`."""
    return _FROM_TRIAL.decode(data)


def decode_to_trial(data: bytes) -> ToTrial:
    """Undo `encode` on the trial's side."""
    return _TO_TRIAL.decode(data)
