"""A real OPC UA server in a process of its own, with one node for each channel; orders come as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.servers.processes import free_ports

ROOT = Path(__file__).resolve().parents[2]


class OpcUaServer:
    """Started at once; `kill` and `start` again keep its address."""

    def __init__(self) -> None:
        self.url = f"opc.tcp://127.0.0.1:{free_ports()[0]}"
        self.start()

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contracts.opcua_server", self.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        self._hear()

    def write(self, channel: str, value: Any, at_ns: int) -> None:
        """Write a node's value with its source time; None is a bad status. Returns when the server has it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([channel, value, at_ns]) + "\n")
        self._process.stdin.flush()
        self._hear()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ok\n", "the OPC UA server ended"

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.communicate(timeout=10)


async def serve(url: str) -> None:
    """Serve until standard input ends."""
    from asyncua import Server, ua

    server = Server()
    await server.init()
    server.set_endpoint(url)
    await server.register_namespace("urn:forewarn:test")
    folder = server.nodes.objects
    nodes = {
        "horizontal": await folder.add_variable("ns=2;s=horizontal", "horizontal", [0.0], ua.VariantType.Double),
        "temperature": await folder.add_variable("ns=2;s=temperature", "temperature", 0.0, ua.VariantType.Double),
    }
    bad = ua.StatusCode(ua.StatusCodes.BadSensorFailure)
    for node in nodes.values():  # nothing measured yet
        await node.write_value(ua.DataValue(ua.Variant(None), StatusCode=bad))
    async with server:
        _say_ok()
        while line := await asyncio.to_thread(sys.stdin.readline):
            channel, value, at_ns = json.loads(line)
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
            if value is None:
                said = ua.DataValue(ua.Variant(None), StatusCode=bad, SourceTimestamp=at)
            else:
                said = ua.DataValue(ua.Variant(value, ua.VariantType.Double), SourceTimestamp=at)
            await nodes[channel].write_value(said)
            _say_ok()


def _say_ok() -> None:
    sys.stdout.write("ok\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
