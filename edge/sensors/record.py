"""Saves what sensors say as it is, for a person or a later replay: no features, no store, no network."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from edge.sensors.formats.recorded import Recorder
from edge.sensors.kinds import Source
from models.errors import Unavailable, WrongUse

_END_S = 10.0  # for a sensor to end, and its file to be written


def record_all(sources: Sequence[Source], folder: Path, seconds: float) -> list[Recorder]:
    """Record all machines at once for so long, or until their sources end; what one raises is raised after all ended.

    WrongUse when a file of a machine's name is there already.
    """
    recorders = [Recorder(_free(folder, s), s.sensor.machine) for s in sources]
    errors: list[Exception] = []

    def hear(source: Source, recorder: Recorder) -> None:
        try:
            for window in source.sensor.windows():
                if over.is_set():
                    break
                recorder.add(window)
        except Exception as e:  # noqa: BLE001 - raised below, where it is seen
            errors.append(e)
        finally:
            recorder.close()

    over = threading.Event()
    threads = [threading.Thread(target=hear, args=pair, daemon=True) for pair in zip(sources, recorders, strict=True)]
    for thread in threads:
        thread.start()
    deadline_s = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(deadline_s - time.monotonic(), 0.0))
    over.set()
    for source in sources:
        source.sensor.close()
    for thread, source in zip(threads, sources, strict=True):
        thread.join(_END_S)
        if thread.is_alive():
            raise Unavailable(
                "its sensor does not end", where=f"machine {source.sensor.machine.name}", mend="try again"
            )
    if errors:
        raise errors[0]
    return recorders


def _free(folder: Path, source: Source) -> Path:
    file = folder / f"{source.sensor.machine.name}.parquet"
    if file.exists():
        raise WrongUse("this recording is there already", where=str(file), mend="name another folder")
    return folder
