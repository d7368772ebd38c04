"""A relay: a program of the plant's own, run for each change of an alarm, to switch a lamp or a horn."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from edge.announce.event import Event
from edge.announce.worker import Untold

_STEP_S = 0.05


class Relay:
    """Runs `command` with the event on its standard input; killed with its children after `deadline_s`."""

    name = "relay"

    def __init__(self, command: Sequence[str], deadline_s: float, *, retry_s: float = 60.0) -> None:
        self._command = tuple(command)
        self._deadline_s = deadline_s
        self.retry_s = retry_s

    def tell(self, event: Event, stopping: threading.Event) -> Untold | None:
        """Run the program once and wait for it; anything but exit code 0 may be tried again."""
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a group of its own, to be killed whole
            )
        except OSError as e:
            return Untold(f"{self._command[0]} not started: {e.strerror or e}", again=True)
        _feed(process, event.body)
        started = time.monotonic()
        while process.poll() is None and not stopping.is_set():
            if time.monotonic() - started > self._deadline_s:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STEP_S)
        code = process.poll()
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Untold(f"{self._command[0]} killed after {time.monotonic() - started:.1f} s", again=True)
        return Untold(f"{self._command[0]} ended with code {code}", again=True) if code else None


def _feed(process: subprocess.Popen[bytes], body: bytes) -> None:
    """Write in a thread: a program that does not read must not hold up its own deadline."""

    def write() -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it ended, or was killed, without reading
            process.stdin.write(body)
        with contextlib.suppress(OSError):
            process.stdin.close()

    threading.Thread(target=write, name="announce relay input", daemon=True).start()
