"""A real agent in a process of its own, on simulated machines, for tests that kill, stop and restart it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.edge.gateway_simulator import GatewaySimulator

ROOT = Path(__file__).resolve().parents[2]


class AgentProcess:
    """One store, one ledger, one configuration; the process may be started many times."""

    def __init__(
        self, folder: Path, gateway: GatewaySimulator | None, *, windows: int, speed: float = 0.0, tail: str = ""
    ) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.store.mkdir(exist_ok=True)
        self.ledger = folder / "ledger.txt"
        self.log = folder / "log.txt"
        self.config = folder / "site.toml"
        self.config.write_text(
            f"""device = "dev-1"
store = "store"
gateways = {[gateway.address] if gateway else []}
uplink.longest_retry_seconds = 0.2
{tail}
[[machine]]
name = "P-101"
source = {{ kind = "simulator", fault = "outer_race", seed = 3, life_seconds = {10 * windows}, speed = {speed} }}
"""
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """Start the agent."""
        command = [sys.executable, "-m", "forewarn", "edge", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--ledger", str(self.ledger), *arguments],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is still there."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, within_s: float = 30.0) -> int:
        """Wait for the process to end; its exit code."""
        assert self._process is not None
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"still running after {within_s:g} s\n{self.said()}") from e

    def kill(self) -> None:
        """SIGKILL, as a power cut of the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def ledger_numbers(self) -> set[tuple[int, int]]:
        """(epoch, sequence) of everything in the ledger."""
        found = set()
        for line in self.ledger.read_text().splitlines() if self.ledger.exists() else ():
            if line != "end":
                epoch, first, count, _ = line.split()
                found |= {(int(epoch), int(first) + i) for i in range(int(count))}
        return found

    def numbers_used(self) -> set[tuple[int, int]]:
        """(epoch, sequence) of every number that the outbox has used."""
        with sqlite3.connect(f"file:{self.store / 'outbox.sqlite'}?mode=ro", uri=True) as db:
            meta = dict(db.execute("SELECT name, value FROM meta"))
        return {(meta["epoch"], n) for n in range(1, meta["head"] + 1)}
