"""Foreground children for tests: started, awaited with a deadline, and ended by their own process id."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


class NotStarted(Exception):
    """A server did not come up; the end of its log is in the message."""


def free_ports(count: int = 1) -> list[int]:
    """Return `count` different TCP ports of the loopback that nothing listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def unprivileged(*names: str) -> str | None:
    """Return the first of the users `names` that exists when we are root, else None: stay who we are."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in names if name in known)


class Child:
    """One foreground process whose output goes to a file."""

    def __init__(
        self, arguments: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, user: str | None = None
    ) -> None:
        self.name = Path(arguments[0]).name
        self.log = log
        identity: dict[str, Any] = {}
        if user is not None:
            identity = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=log.parent,
                env={**os.environ, **(env or {})},
                start_new_session=True,  # a Ctrl-C in the terminal is pytest's, which then ends us in order
                **identity,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def wait(self, within_s: float) -> int:
        """Wait for its end and return its exit code."""
        return self._process.wait(within_s)

    def stop(self, *, first: signal.Signals = signal.SIGTERM, within_s: float = 10.0) -> None:
        """Ask with `first`, and kill what is still there after `within_s` seconds."""
        if not self.running:
            return
        self._process.send_signal(first)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a power cut of the process."""
        self._process.kill()
        self._process.wait(10)

    def wait_until(self, ready: Callable[[], bool], *, within_s: float) -> None:
        """Poll `ready` until it holds; a child that ended or the deadline raises `NotStarted` with its log's end."""
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.running or time.monotonic() > deadline:
                why = "is not ready in time" if self.running else f"ended with code {self._process.returncode}"
                tail = self.log.read_text(errors="replace")[-2000:]
                raise NotStarted(f"{self.name} {why}\n{tail}")
            time.sleep(0.02)
