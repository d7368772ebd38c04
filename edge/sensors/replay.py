"""Finds what can be replayed: every file is understood or refused by itself, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from edge.sensors.formats import arrays, comma, flight, parquet, wav
from edge.sensors.formats.options import Options
from edge.sensors.recording import Recording, Replay
from models.errors import RecordingRejected

__all__ = ["Recording", "Replay", "find_recordings"]

Found = Recording | RecordingRejected
READERS: dict[str, Callable[[Path, Options], Iterable[Found]]] = {
    ".parquet": parquet.recordings,
    ".wav": wav.recordings,
    ".csv": comma.recordings,
    ".fwr": flight.recordings,
    ".npy": arrays.recordings,
    ".npz": arrays.recordings,
}


def find_recordings(
    paths: Iterable[Path | str], only: Collection[str] | None = None, *, options: Options | None = None
) -> list[Found]:
    """Every recording below `paths` (files, or folders of files), read once to its end, or why it cannot be used.

    `only` keeps the machines of these names; a name that is not there is a RecordingRejected of its own.
    """
    options = options or Options()
    wanted = None if not only else set(only)
    found: list[Found] = []
    seen: set[str] = set()
    for path in paths:
        for item in _below(Path(path), options):
            if isinstance(item, Recording):
                if wanted is None or item.name in wanted:
                    found.append(_checked(item, seen))
                seen.add(item.name)
            elif wanted is None or _concerns(item, wanted):
                found.append(item)
    found += [_absent(name, seen) for name in sorted((wanted or set()) - seen) if not _refused(name, found)]
    return found


def _below(path: Path, options: Options) -> Iterator[Found]:
    if not path.exists():
        yield RecordingRejected("there is no such file or folder", where=str(path), mend="check the path")
        return
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in READERS and p.is_file())
        if not files:
            kinds = ", ".join(READERS)
            yield RecordingRejected(f"the folder has no {kinds} file", where=str(path), mend="name the right folder")
    else:
        files = [path]
    for file in files:
        yield from _of_file(file, options)


def _of_file(file: Path, options: Options) -> Iterator[Found]:
    reader = READERS.get(file.suffix.lower())
    try:
        if reader is None:
            raise RecordingRejected(
                f"{file.suffix or 'a file without a suffix'} is no known format", mend=f"give {', '.join(READERS)}"
            )
        if file.stat().st_size == 0:
            raise RecordingRejected("the file is empty", mend="record or copy it again")
        yield from reader(file, options)
    except RecordingRejected as e:
        yield e if e.where else RecordingRejected(e.what, where=str(file), mend=e.mend)
    except OSError as e:
        yield RecordingRejected(f"cannot be read: {e.strerror or e}", where=str(file), mend="check its permissions")


def _checked(recording: Recording, seen: set[str]) -> Found:
    if recording.name in seen:
        return RecordingRejected(
            f"a second recording of {recording.name}", where=str(recording.path), mend="replay it by itself"
        )
    try:
        checked = recording.checked()
    except RecordingRejected as e:
        return e
    except OSError as e:
        return RecordingRejected(f"cannot be read: {e.strerror or e}", where=str(recording.path), mend="copy it again")
    if not checked.count:
        return RecordingRejected("holds no window", where=str(recording.path), mend="record longer")
    return checked


def _concerns(problem: RecordingRejected, wanted: set[str]) -> bool:
    """Whether a refused file may hold a wanted machine: its name begins with the machine's, or it is no machine's."""
    file = Path(problem.where.split(":", 1)[0]).name
    return any(file.startswith(name) for name in wanted) or not file.endswith(("_vib.parquet", "_temp.parquet"))


def _refused(name: str, found: list[Found]) -> bool:
    return any(isinstance(f, RecordingRejected) and name in f.where for f in found)


def _absent(name: str, seen: set[str]) -> RecordingRejected:
    names = ", ".join(sorted(seen)[:10]) or "none"
    return RecordingRejected(f"there is no recording of {name!r}", mend=f"the recordings here: {names}")
