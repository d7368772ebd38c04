"""Starts the demo's processes and makes sure that none outlives it.

All children stay in the demo's process group, so that Ctrl-C in a terminal reaches every one of them, and each asks the
kernel to be terminated when the demo dies in a way that it cannot handle (Linux: PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

from models.errors import ForewarnError

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


_ENDING = (signal.SIGINT, signal.SIGTERM)


def _before_exec() -> None:
    """Run in the new process: ask for SIGTERM when the demo dies, and listen to the terminal again."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back Ctrl-C for a moment, so that a process is either not begun or in the list of those to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def interrupt(_number: int, _frame: object) -> NoReturn:
    """End the demo: the same for Ctrl-C and SIGTERM."""
    raise KeyboardInterrupt


class Process:
    """One `forewarn` command in a process of its own, logging to a file."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.arguments = tuple(arguments)
        self.log = log
        self._log_file: IO[bytes] = log.open("ab")
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "forewarn", "--log-json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            preexec_fn=_before_exec,  # noqa: PLW1509 - one prctl call, no threads hold locks here
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    def first_line(self) -> str:
        """Wait for the first line on its standard output, which the servers print when they are ready."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline().decode().strip()
        if not line:
            raise self.failed()
        return line

    def lines(self) -> Iterator[str]:
        """Yield what it prints, until it closes its standard output."""
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            yield line.decode(errors="replace").rstrip()

    def wait(self, deadline_s: float) -> str:
        """Wait for a good end and return what it printed; anything else is an error that quotes its log."""
        try:
            out, _ = self._popen.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired as e:
            raise ForewarnError(f"{self.name} did not end within {deadline_s:.0f} s", where=str(self.log)) from e
        if self._popen.returncode != 0:
            raise self.failed()
        return out.decode()

    def failed(self) -> ForewarnError:
        """Return the error to raise when it ended badly, with the last lines of its log."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=5)
        last = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        return ForewarnError(
            f"{self.name} ended with exit code {self._popen.returncode}; its last words: {' / '.join(last) or 'none'}",
            where=str(self.log),
        )

    def signal(self, number: int) -> None:
        """Send a signal if it still runs."""
        if self.running:
            self._popen.send_signal(number)

    def reap(self, deadline_s: float) -> bool:
        """Wait for its end; False when it did not come in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=max(deadline_s, 0.01))
        if self.running:
            return False
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        self._log_file.close()
        return True


class Processes:
    """All processes of one demo; leaving the `with` block ends them, in reverse order of their start."""

    GRACE_S = 12.0  # agents drain for up to 10 s

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._all: list[Process] = []

    def __enter__(self) -> Self:
        for number in _ENDING:  # SIGINT too: a shell starts its background jobs with it ignored
            signal.signal(number, interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self, name: str, *arguments: str) -> Process:
        """Start `forewarn <arguments>`; its log is `<name>.log`."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with _undisturbed():
            process = Process(name, arguments, self._logs / f"{name}.log")
            self._all.append(process)
        return process

    def check(self) -> None:
        """Raise for a process that ended although nobody asked it to."""
        for process in self._all:
            if not process.running and process._popen.returncode not in (0, -signal.SIGKILL):
                raise process.failed()

    def stop(self) -> None:
        """Ask all to end, wait, and kill what remains; a second Ctrl-C does not cut this short."""
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        remaining = list(reversed(self._all))
        deadline = time.monotonic() + self.GRACE_S
        for process in remaining:
            process.signal(signal.SIGTERM)
        for process in remaining:
            if not process.reap(deadline - time.monotonic()):
                process.signal(signal.SIGKILL)
                process.reap(5.0)
        self._all.clear()
