"""What every benchmark reads: a folder's usable recordings, and a file of lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edge.sensors.recording import Recording
from edge.sensors.replay import find_recordings
from forewarn.evaluation.benchmark import Line, Say
from models.errors import RecordingRejected, WrongUse


def recordings(folder: Path, say: Say) -> list[Recording]:
    """Return what can be replayed; each file that cannot is said. Raises `RecordingRejected` when there is nothing."""
    usable = []
    for found in find_recordings([folder]):
        if isinstance(found, RecordingRejected):
            say(f"not used: {found}")
        else:
            usable.append(found)
    if not usable:
        raise RecordingRejected("no usable recording", where=str(folder), mend="see docs for the formats")
    return usable


def read_lines(file: Path, *, by: Sequence[str], order: str) -> dict[tuple[str, ...], list[Line]]:
    """Read a file of `forewarn evaluate`: the lines of each value of the keys `by`, in the order of the key `order`.

    Raises `WrongUse` with the line's number.
    """
    groups: dict[tuple[str, ...], list[Line]] = {}
    try:
        texts = file.read_text().splitlines()
    except OSError as e:
        raise WrongUse(f"cannot be read: {e.strerror}", where=str(file)) from e
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            int(line[order])
            groups.setdefault(tuple(str(line[key]) for key in by), []).append(line)
        except (ValueError, KeyError, TypeError) as e:
            raise WrongUse(f"is no line of `forewarn evaluate`: {e}", where=f"{file}:{number}") from e
    return {key: sorted(lines, key=lambda line: int(line[order])) for key, lines in groups.items()}
