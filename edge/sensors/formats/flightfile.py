"""The file of raw windows that the flight recorder writes, exports and replays: one machine, window after window.

A header (the machine), then frames, each with its length and checksum: whatever is written last may be torn by a power
cut, and everything before it is still read. Samples are int16 with a scale per channel and window, or float32 where a
sample is not finite, packed with zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from edge.types import FloatArray, Machine, Quality, Window
from models.errors import RecordingRejected

SUFFIX = ".fwr"
MAGIC = b"FORWRD01"
_FRAME = struct.Struct("<II")  # length and CRC-32 of the body
_FULL_SCALE = 32_767
_LARGEST_FRAME = 256 << 20
_LEVEL = 1  # noise hardly packs better at a higher one, and costs three times as much


class _Samples(msgspec.Struct, frozen=True, array_like=True):
    scale: float  # physical units per count; 0: the samples are float32
    count: int
    data: bytes


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    time_ns: int
    quality: int
    faulty: tuple[str, ...]
    samples: dict[str, _Samples]


class Header(msgspec.Struct, frozen=True):
    """What the file is about; `reason` is why it was kept apart, empty for the ring."""

    machine: Machine
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """A frame as it lies in a file, packed: its event time and its bytes."""

    time_ns: int
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_frames = msgspec.msgpack.Decoder(_Frame)
_headers = msgspec.msgpack.Decoder(Header)


class Torn(Exception):
    """The file ends in the middle of a frame, or the frame is damaged; what was read before it is whole."""

    def __init__(self, at: int) -> None:
        self.at = at  # bytes of the file that are whole
        super().__init__(f"torn after {at} bytes")


def pack(window: Window) -> Raw:
    """A window as a frame."""
    samples = {name: _packed(values) for name, values in window.samples.items()}
    frame = _Frame(window.time_ns, int(window.quality), tuple(sorted(window.faulty)), samples)
    return Raw(window.time_ns, _encoder.encode(frame))


def _packed(values: FloatArray) -> _Samples:
    if not values.size or not np.isfinite(values).all():
        return _Samples(0.0, values.size, zlib.compress(values.astype("<f4").tobytes(), _LEVEL))
    scale = float(np.abs(values).max()) / _FULL_SCALE or 1.0
    counts = np.rint(values / np.float32(scale)).clip(-_FULL_SCALE, _FULL_SCALE).astype("<i2")
    return _Samples(scale, values.size, zlib.compress(counts.tobytes(), _LEVEL))


def unpack(raw: Raw, machine: str) -> Window:
    """The window of a frame; ValueError when it does not hold what it says."""
    try:
        frame = _frames.decode(raw.body)
        samples = {name: _unpacked(s) for name, s in frame.samples.items()}
    except (msgspec.DecodeError, zlib.error) as e:
        raise ValueError(str(e)) from e
    return Window(
        machine=machine,
        time_ns=frame.time_ns,
        samples=samples,
        quality=Quality(frame.quality),
        faulty=frozenset(frame.faulty),
    )


def samples_in(raw: Raw) -> int:
    """How many samples a frame holds, all channels together, without unpacking them; `raw` is out of a whole frame."""
    return sum(s.count for s in _frames.decode(raw.body).samples.values())


def _unpacked(packed: _Samples) -> FloatArray:
    kind = "<i2" if packed.scale else "<f4"
    size = packed.count * np.dtype(kind).itemsize
    data = zlib.decompressobj().decompress(packed.data, size + 1)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes of samples, not {size}")
    values = np.frombuffer(data, kind).astype(np.float32)
    return values * np.float32(packed.scale) if packed.scale else values


def header_bytes(header: Header) -> bytes:
    """The beginning of a file."""
    return MAGIC + _framed(_encoder.encode(header))


def frame_bytes(raw: Raw) -> bytes:
    """A frame as it is appended to a file."""
    return _framed(raw.body)


def _framed(body: bytes) -> bytes:
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def read_header(file: Path) -> Header:
    """What the file is about; RecordingRejected when it is no flight file, or was torn in its header."""
    with file.open("rb") as stream:
        return _header(stream, file)


def _header(stream: BinaryIO, file: Path) -> Header:
    if stream.read(len(MAGIC)) != MAGIC:
        raise RecordingRejected("is no flight recorder's file", where=str(file), mend="export it again")
    try:
        return _headers.decode(_body(stream))
    except (Torn, msgspec.DecodeError) as e:
        raise RecordingRejected("its header is damaged", where=str(file), mend="export it again") from e


def read_frames(file: Path) -> Iterator[Raw]:
    """The frames in their order; Torn where one is cut short or damaged, RecordingRejected as `read_header`."""
    with file.open("rb") as stream:
        _header(stream, file)
        while True:
            at = stream.tell()
            if not stream.read(1):
                return
            stream.seek(at)
            body = _body(stream)
            try:
                yield Raw(_frames.decode(body).time_ns, body)
            except msgspec.DecodeError as e:
                raise Torn(at) from e


def _body(stream: BinaryIO) -> bytes:
    at = stream.tell()
    head = stream.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise Torn(at)
    length, checksum = _FRAME.unpack(head)
    body = stream.read(length) if length <= _LARGEST_FRAME else b""
    if len(body) < length or zlib.crc32(body) != checksum:
        raise Torn(at)
    return body
