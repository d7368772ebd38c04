"""A Ray cluster of two nodes on this machine, each on a loopback address of its own, made to be killed.

The nodes are what `ray start` makes of a machine. Where they lost their cluster's head, Ray ends them and their actors
after a minute; here after some seconds, so that a test need not wait so long.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.servers.processes import Child, free_ports

HOSTS = ("127.0.0.2", "127.0.0.3")  # 127.0.0.1 would not do: Ray takes it for this machine's outer address
LOST_AFTER_S = 3


class RayNodes:
    """A head, and a second node; they speak to nobody without the token."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fw-ray-", dir="/tmp"))  # short: unix sockets have 107 characters
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(os.urandom(32).hex())
        self.environment = {  # of whoever wants to reach the cluster
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "PYTHONUNBUFFERED": "1",
        }
        self._port = free_ports()[0]
        self._nodes: dict[str, Child] = {}
        self.start(*HOSTS)

    @property
    def address(self) -> str:
        """host:port of the head."""
        return f"{HOSTS[0]}:{self._port}"

    def start(self, *hosts: str) -> None:
        """Start the nodes at `hosts`; after a death of the head, it is a new cluster in the same place."""
        for host in hosts:
            self._start(host)
        for host in hosts:
            log = self._nodes[host].log
            self._nodes[host].wait_until(lambda log=log: "Ray runtime started" in log.read_text(), within_s=180)

    def _start(self, host: str) -> None:
        head = ("--head", f"--port={self._port}", "--include-dashboard=false", f"--temp-dir={self.folder}")
        options = head if host == HOSTS[0] else (f"--address={self.address}",)
        few = ("--no-monitor", "--include-log-monitor=false", "--disable-usage-stats")  # fewer processes
        common = ("--num-cpus=1", "--object-store-memory=80000000", *few, "--block")
        log = self.folder / f"{host}.log"
        log.unlink(missing_ok=True)
        environment = {
            **self.environment,
            "RAY_gcs_rpc_server_reconnect_timeout_s": str(LOST_AFTER_S),
            "RAY_NUM_REDIS_GET_RETRIES": "80",  # of 2 s: the second node looks for the head beside it
        }
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--node-ip-address={host}"]
        self._nodes[host] = Child([*start, *common, *options], log, env=environment)

    def kill(self, host: str) -> None:
        """SIGKILL all processes of a node at once."""
        os.killpg(self._nodes[host].pid, signal.SIGKILL)
        self._nodes.pop(host).kill()

    def close(self) -> None:
        """Kill all and remove their files."""
        for host in list(self._nodes):
            self.kill(host)
        shutil.rmtree(self.folder, ignore_errors=True)
