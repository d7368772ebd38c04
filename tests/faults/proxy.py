"""A TCP link between a device and a gateway that can be made to fail: delay, drop, half-open, reset, truncate.

It runs an event loop in a thread of its own, so that tests of processes, threads and coroutines can use it alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER without time: close sends RST


class FaultProxy:
    """Listens on a port of its own and forwards to `port`; its attributes and methods are the faults."""

    def __init__(self, port: int) -> None:
        self.port = port  # of the gateway; may be changed
        self.delay_s = 0.0  # of each chunk, both ways
        self.dropping = False  # swallow what comes, both ways: the connections look alive and are not
        self.refusing = False  # close each new connection at once
        self.linked = 0  # connections made through to the gateway, which `reset` can cut
        self.truncate_after: int | None = None  # bytes upwards, over all connections; then all are cut in mid-message
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._listen())
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.close()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, up_writer}
        self.linked += 1
        try:
            await asyncio.gather(self._forward(reader, up_writer, upwards=True), self._forward(up_reader, writer))
        finally:
            self._writers -= {writer, up_writer}

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upwards: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                if self.dropping:
                    continue
                if upwards and self.truncate_after is not None:
                    data = data[: self.truncate_after]
                    self.truncate_after -= len(data)
                writer.write(data)
                await writer.drain()
                if upwards and self.truncate_after == 0:
                    self.truncate_after = None
                    self._cut()
        writer.close()

    def half_open(self) -> None:
        """Nothing passes any more and nobody is told; `heal` lets what was held pass."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def heal(self) -> None:
        """Let everything pass again."""
        self.dropping = self.refusing = False
        self.delay_s = 0.0
        self._loop.call_soon_threadsafe(self._flowing.set)

    def reset(self) -> None:
        """Cut all connections; both ends hear of it."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in list(self._writers):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def close(self) -> None:
        """Break the link for good."""

        async def end() -> None:
            self._server.close()
            self._cut()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
