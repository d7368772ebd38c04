"""`forewarn cloud serve` in processes of their own, to be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Served:
    """`forewarn cloud serve` in a process of its own."""

    def __init__(self, data: Path, address: str = "127.0.0.1:0", *options: str) -> None:
        self._errors = (data / "gateway.log").open("ab")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "forewarn",
                "cloud",
                "serve",
                "--data",
                data,
                "--gateway",
                address,
                *(options or ("--no-page",)),
            ],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (data / "gateway.log").read_text()
        self.addresses: dict[str, str] = json.loads(line)
        self.address = self.addresses["gateway"]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def end(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(15)

    def close(self) -> None:
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


@contextmanager
def served(data: Path) -> Iterator[Callable[..., Served]]:
    """Starts gateways and makes sure that none stays."""
    all_of_them: list[Served] = []

    def start(address: str = "127.0.0.1:0", *options: str) -> Served:
        all_of_them.append(Served(data, address, *options))
        return all_of_them[-1]

    try:
        yield start
    finally:
        for one in all_of_them:
            one.close()
