"""An MQTT broker: loopback only, any free port, nothing on disk."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

from tests.servers.processes import Child, NotStarted, free_ports


def find_program() -> str | None:
    """Return the broker's path; Debian keeps it where not everybody's PATH looks."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or shutil.which(
        "mosquitto"
    )


class Mosquitto:
    """A running broker, for everybody."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="fw-mqtt-", dir="/tmp"))
        self._child: Child | None = None
        self.port = 0
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it, again after a `kill` too; the port stays the same from the first start on."""
        for attempt in range(3):
            port = self.port or free_ports()[0]
            settings = self._folder / "mosquitto.conf"
            settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
            self._child = Child([self._program, "-c", str(settings)], self._folder / "server.log")
            try:
                self._child.wait_until(lambda p=port: _answers(p), within_s=10)
            except NotStarted:
                self._child.stop()
                if self.port or attempt == 2:
                    raise
            else:
                self.port = port
                return

    def kill(self) -> None:
        """SIGKILL the broker."""
        assert self._child is not None
        self._child.kill()

    def close(self) -> None:
        """Stop it and remove its files."""
        if self._child is not None:
            self._child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False
