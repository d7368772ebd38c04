"""Words to the service manager (sd_notify): READY, WATCHDOG, STOPPING. Without one, nothing happens."""

from __future__ import annotations

import os
import socket


def notify(words: str) -> None:
    """Send one state, such as `READY=1`; a manager that does not listen is no fault of ours."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as manager:
        try:
            manager.sendto(words.encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            return


def watchdog_s() -> float | None:
    """How often to say WATCHDOG=1: half of what the manager allows; None if it does not watch this process."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    if not allowed.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return max(int(allowed) * 1e-6 / 2, 0.1)
