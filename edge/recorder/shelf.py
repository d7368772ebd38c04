"""A folder of flight files under a quota: files are whole, numbered, and the oldest go first.

Invariants
- Only the newest file is ever written; one of an earlier process is continued only where `go_on` is asked for.
- A torn end is found when the folder is opened, cut off, and said in one line.
- The quota holds after each frame, the file that is being written counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import structlog

from edge.sensors.formats.flightfile import (
    SUFFIX,
    Header,
    Raw,
    Torn,
    frame_bytes,
    header_bytes,
    read_frames,
    read_header,
)
from models.errors import RecordingRejected

_log = structlog.get_logger()


class Shelf:
    """One machine's ring, or its frozen windows."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        """Open or make the folder; OSError when it cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._quota = quota_bytes
        self._open: BinaryIO | None = None
        self._sizes = {f: f.stat().st_size for f in sorted(folder.glob(f"*{SUFFIX}"))}
        if self._sizes:
            self._mend(next(reversed(self._sizes)))

    def _mend(self, newest: Path) -> None:
        """Cut off what a power cut tore; only the newest file can have been open."""
        try:
            for _ in read_frames(newest):
                pass
            return
        except RecordingRejected:
            whole = 0
        except Torn as e:
            whole = e.at
        _log.warning("flight recorder: torn end dropped", file=str(newest), bytes=self._sizes[newest] - whole)
        if whole:
            with newest.open("r+b") as file:
                file.truncate(whole)
            self._sizes[newest] = whole
        else:
            newest.unlink()
            del self._sizes[newest]

    @property
    def files(self) -> list[Path]:
        """Oldest first."""
        return list(self._sizes)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(self._sizes.values())

    @property
    def open_bytes(self) -> int:
        """Of the file that is being written; 0 when there is none."""
        return next(reversed(self._sizes.values())) if self._open is not None else 0

    def begin(self, header: Header) -> None:
        """Start a new file."""
        self.end()
        last = int(next(reversed(self._sizes)).stem) if self._sizes else 0
        file = self._folder / f"{last + 1:012d}{SUFFIX}"
        self._open = file.open("xb", buffering=0)
        self._sizes[file] = 0
        self._write(header_bytes(header))

    def go_on(self, header: Header) -> None:
        """Continue the newest file if it is about the same, an earlier process's too; else start a new one."""
        newest = next(reversed(self._sizes), None)
        if newest is None or read_header(newest) != header:
            self.begin(header)
        elif self._open is None:
            self._open = newest.open("ab", buffering=0)

    def add(self, raw: Raw) -> None:
        """Append a frame to the open file and keep the quota; OSError when the disk is full or fails."""
        self._write(frame_bytes(raw))
        while self.size_bytes > self._quota and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            oldest.unlink(missing_ok=True)
            del self._sizes[oldest]
        if self.size_bytes > self._quota:  # the open file alone is over it
            self.end()
            last, _ = self._sizes.popitem()
            last.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        assert self._open is not None
        file = next(reversed(self._sizes))
        before = self._sizes[file]
        try:
            written = self._open.write(data)
        except OSError:
            self._abandon(file, before)
            raise
        if written != len(data):
            self._abandon(file, before)
            raise OSError(28, "No space left on device")
        self._sizes[file] = before + written

    def _abandon(self, file: Path, whole: int) -> None:
        """After a failed write: keep what is whole and write no more into this file."""
        self.end()
        if whole:
            with file.open("r+b") as stream:
                stream.truncate(whole)
        else:
            file.unlink(missing_ok=True)
            del self._sizes[file]

    @property
    def writing(self) -> bool:
        """Whether a file is open."""
        return self._open is not None

    def end(self) -> None:
        """Close the open file, if there is one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def newest(self, count: int) -> list[Raw]:
        """The last `count` frames, oldest first."""
        found: list[Raw] = []
        for file in reversed(self.files):
            if len(found) >= count:
                break
            found = [*_whole(file), *found]
        return found[-count:] if count else []


def _whole(file: Path) -> list[Raw]:
    """The frames of a file up to where it is torn."""
    found: list[Raw] = []
    try:
        for raw in read_frames(file):
            found.append(raw)  # noqa: PERF402 - those before a torn one are wanted
    except (Torn, RecordingRejected):
        pass
    return found
