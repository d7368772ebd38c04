"""Runs one trial from the agent's side: starts the process, answers its questions, and ends it if it takes too long.

Whatever the process does (crash, hang, run out of memory, talk nonsense) is a verdict here and no more.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

import edge
from edge.updater.messages import (
    CHUNK,
    Ask,
    Chunk,
    Failed,
    Job,
    Missing,
    Outcome,
    Pipe,
    Verdict,
    decode_from_trial,
    encode,
)
from models.errors import ForewarnError

Fetch = Callable[[str], Iterable[bytes]]  # path -> chunks; KeyError: no such file; ForewarnError: not now
_MOST_BYTES = 64_000_000  # of one trial: a repository that never ends must not fill the device's link
_GRACE_S = 5
_PACKAGES = Path(edge.__file__).resolve().parent.parent


class Trial:
    """One trial; `run` blocks in the calling thread, `kill` may come from any."""

    def __init__(self, job: Job, fetch: Fetch, *, deadline_s: float, stop_fetching: Callable[[], None]) -> None:
        """`stop_fetching` is called when the trial is killed, from any thread: `fetch` shall then end soon."""
        self._job = job
        self._fetch = fetch
        self._stop_fetching = stop_fetching
        self._deadline_s = deadline_s
        self._bytes = 0
        self._late = False
        self._killed = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> Verdict:
        """Return the verdict; a process that ends without one gives `DIED` and how it ended."""
        ours, theirs = socket.socketpair()
        errors = Path(self._job.file).with_name("errors.txt")
        errors.parent.mkdir(parents=True, exist_ok=True)
        with errors.open("wb") as stderr, theirs:
            process = self._process = self._start(theirs.fileno(), stderr.fileno())
        timer = threading.Timer(self._deadline_s, self._end_late)
        timer.daemon = True
        timer.start()
        try:
            if self._killed:  # it came between the call and the start
                process.kill()
            with Pipe(ours) as pipe:
                verdict = self._talk(pipe)
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            pass  # it has said its word; it is ended below
        finally:
            timer.cancel()
            process.kill()
            status = process.wait()
        return verdict or self._died(status, errors)

    def kill(self) -> None:
        """End the trial now; `run` then returns."""
        self._killed = True
        self._stop_fetching()
        if self._process is not None:
            self._process.kill()

    def _start(self, connection: int, stderr: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "edge.updater.child", str(connection), str(int(self._deadline_s) + 1)]
        environment = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "TZ", "TMPDIR"}}
        environment["PYTHONPATH"] = str(_PACKAGES)
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=environment, pass_fds=(connection,)
        )

    def _talk(self, pipe: Pipe) -> Verdict | None:
        try:
            pipe.send(encode(self._job))
            while True:
                match decode_from_trial(pipe.receive()):
                    case Verdict() as verdict:
                        return verdict
                    case Ask(path):
                        self._answer(pipe, path)
        except (EOFError, OSError, msgspec.DecodeError):
            return None  # it died, or speaks nonsense; how it ended says more

    def _answer(self, pipe: Pipe, path: str) -> None:
        try:
            for data in self._fetch(path):
                self._bytes += len(data)
                if self._bytes > _MOST_BYTES:
                    pipe.send(encode(Failed(f"the repository sends more than {_MOST_BYTES} bytes")))
                    return
                for start in range(0, len(data), CHUNK):
                    pipe.send(encode(Chunk(data[start : start + CHUNK])))
        except KeyError:
            pipe.send(encode(Missing()))
        except ForewarnError as e:
            pipe.send(encode(Failed(str(e))))
        else:
            pipe.send(encode(Chunk(b"")))

    def _end_late(self) -> None:
        self._late = True
        self.kill()

    def _died(self, status: int, errors: Path) -> Verdict:
        if self._late:
            return Verdict(Outcome.UNAVAILABLE, f"the trial took longer than {self._deadline_s:.0f} s")
        if self._killed:
            return Verdict(Outcome.UNAVAILABLE, "the trial was ended by the agent")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
        lines = errors.read_text(errors="replace")[-2000:].strip().splitlines() if errors.exists() else []
        return Verdict(Outcome.DIED, f"the trial's process died ({how}){': ' + lines[-1] if lines else ''}")
