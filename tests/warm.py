"""The real commands in processes of their own that start in some milliseconds.

Each is forked from a process that has imported all that they need. So a second holds several kills, and not the import
of NumPy several times.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from forewarn.cli import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "tests.warm",
        *("forewarn.commands.edge", "edge.agent", "edge.config", "edge.sources"),
        *("forewarn.commands.cloud", "cloud.serve", "cloud.wiring", "cloud.lake.reader", "cloud.registry"),
    ]
)


class Forked:
    """`work(*arguments)` in a process of its own; what it logs is appended to a file."""

    def __init__(self, log: Path, work: Callable[..., object], *arguments: str) -> None:
        said, saying = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_run, args=(work, arguments, str(log), saying), daemon=True)
        self._process.start()
        saying.close()
        self._said = said

    def line(self, within_s: float = 30.0) -> str:
        """The next line that it prints."""
        line = b""
        while not line.endswith(b"\n"):
            assert self._said.poll(within_s), "it says nothing"
            part = os.read(self._said.fileno(), 1)
            assert part, "it ended without a word"
            line += part
        return line.decode()

    def rest(self, within_s: float = 60.0) -> str:
        """Everything that it prints until it closes its output."""
        printed = b""
        while self._said.poll(within_s):
            part = os.read(self._said.fileno(), 65_536)
            if not part:
                return printed.decode()
            printed += part
        raise AssertionError("it says nothing, and does not end")

    def wait(self, within_s: float = 30.0) -> int:
        """Its exit code, once it has ended by itself."""
        self._process.join(within_s)
        assert self._process.exitcode is not None, "it does not end"
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL, as a power cut of the process."""
        self._process.kill()
        self._process.join(10)

    def stop(self, within_s: float = 30.0) -> int | None:
        """SIGTERM; its exit code, or None when it is still there."""
        self._process.terminate()
        self._process.join(within_s)
        return self._process.exitcode

    def close(self) -> None:
        """Kill what is still there."""
        self.kill()
        self._said.close()


class Command(Forked):
    """`forewarn ARGUMENTS` in a process of its own."""

    def __init__(self, log: Path, *arguments: str) -> None:
        super().__init__(log, _forewarn, *arguments)


def forewarn(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`forewarn ARGUMENTS` to its end, with what it printed and what it logged."""
    words = list(map(str, arguments))
    with tempfile.TemporaryDirectory() as folder:
        command = Command(log := Path(folder, "log.txt"), *words)
        try:
            printed = command.rest()
            code = command.wait()
        finally:
            command.close()
        return subprocess.CompletedProcess(words, code, printed, log.read_text())


def _forewarn(*arguments: str) -> None:
    main(list(arguments))


def _run(work: Callable[..., object], arguments: tuple[str, ...], log: str, saying: Connection) -> None:
    os.dup2(saying.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    work(*arguments)
