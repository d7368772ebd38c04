"""WAV: PCM of 8, 16, 24 and 32 bits and float, read by their RIFF chunks.

The standard library's `wave` refuses float and extensible headers (Python 3.11) and reads a file that is cut short as
if it were whole; a machine's recording must not end unnoticed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge.sensors.formats import cut
from edge.sensors.formats.options import Options, source
from edge.sensors.recording import Reading, Recording
from edge.types import ChannelKind, FloatArray
from models.errors import RecordingRejected

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BLOCK_FRAMES = 1 << 15


@dataclass(frozen=True, slots=True)
class _Header:
    channels: int
    rate_hz: int
    bytes_per_sample: int
    is_float: bool
    data_start: int
    frames: int


def recordings(path: Path, options: Options) -> Iterable[Recording | RecordingRejected]:
    """The recording of one file, its channels named left and right (or 1, 2, ...), full scale 1 unless described."""
    with path.open("rb") as file:
        header = _header(path, file)
    described = source(path, options)
    rate = described.agreed_rate(float(header.rate_hz))
    assert rate is not None
    named = {1: ["vibration"], 2: ["left", "right"]}
    names = named.get(header.channels, [f"channel {i + 1}" for i in range(header.channels)])
    channels = tuple(described.channel(n, ChannelKind.WAVEFORM, rate) for n in names)

    def read() -> Iterator[Reading]:
        return cut.windows(_blocks(path, header, names, described.described.scale), rate, described.window_samples)

    return [Recording(machine=described.machine(channels), path=path, read=read)]


def _header(path: Path, file: BinaryIO) -> _Header:
    riff = file.read(12)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise _refused(path, "is no WAV file", "convert it, or give it its own suffix")
    form: tuple[int, ...] | None = None
    while True:
        chunk = file.read(8)
        if len(chunk) < 8:
            raise _refused(path, "is cut short: it has no samples", "copy or record it again")
        name, size = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        if name == b"fmt ":
            body = file.read(size)
            if size < 16 or len(body) < size:
                raise _refused(path, "its format chunk is too short", "copy or record it again")
            form = struct.unpack("<HHIIHH", body[:16])
            if form[0] == _EXTENSIBLE and size >= 26:  # the true format opens the extension's identifier
                form = (struct.unpack("<H", body[24:26])[0], *form[1:])
        elif name == b"data":
            if form is None:
                raise _refused(path, "its samples come before their format", "convert it again")
            return _checked(path, form, file.tell(), size)
        else:
            file.seek(size + size % 2, 1)


def _checked(path: Path, form: tuple[int, ...], start: int, size: int) -> _Header:
    code, channels, rate_hz, _, _, bits = form
    known = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
    if bits not in known.get(code, ()):
        raise _refused(path, f"holds {bits}-bit samples of WAV format {code}", "save it as PCM or float")
    if not channels or not rate_hz:
        raise _refused(path, f"says {channels} channels at {rate_hz} Hz", "record it again")
    there = path.stat().st_size - start
    if there < size:
        raise _refused(path, f"is cut short: {size - there} of {size} bytes are missing", "copy or record it again")
    frames = size // (channels * bits // 8)
    if not frames:
        raise _refused(path, "holds no samples", "record it again")
    return _Header(channels, rate_hz, bits // 8, code == _FLOAT, start, frames)


def _blocks(path: Path, header: _Header, names: list[str], scale: float) -> Iterator[dict[str, FloatArray]]:
    frame_bytes = header.channels * header.bytes_per_sample
    with path.open("rb") as file:
        file.seek(header.data_start)
        for first in range(0, header.frames, _BLOCK_FRAMES):
            frames = min(_BLOCK_FRAMES, header.frames - first)
            data = file.read(frames * frame_bytes)
            if len(data) < frames * frame_bytes:
                raise _refused(path, "became shorter while it was read", "replay it again")
            values = _decoded(data, header).reshape(-1, header.channels)
            finite = np.isfinite(values).all(axis=1)
            if not finite.all():
                row = first + int(np.flatnonzero(~finite)[0])
                raise RecordingRejected(
                    "a sample is not a finite number", where=f"{path}:{row}", mend="cut the recording before it"
                )
            yield {n: np.ascontiguousarray(values[:, i] * np.float32(scale)) for i, n in enumerate(names)}


def _decoded(data: bytes, header: _Header) -> FloatArray:
    """Samples as float32, full scale at 1; 8 bits are unsigned, all others signed."""
    if header.is_float:
        return np.frombuffer(data, dtype=f"<f{header.bytes_per_sample}").astype(np.float32)
    if header.bytes_per_sample == 1:
        return (np.frombuffer(data, dtype=np.uint8).astype(np.float32) - 128.0) / 128.0
    if header.bytes_per_sample == 3:
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    full_scale = 2.0 ** (8 * header.bytes_per_sample - 1)
    return (np.frombuffer(data, dtype=f"<i{header.bytes_per_sample}") / full_scale).astype(np.float32)


def _refused(path: Path, what: str, mend: str) -> RecordingRejected:
    return RecordingRejected(what, where=str(path), mend=mend)
