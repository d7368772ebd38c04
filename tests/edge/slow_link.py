"""A TCP link of a given rate between a device and a gateway, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

_CHUNK = 1024
_BUFFER = 4096  # bytes that the kernel holds on the link, as small as it lets us


class SlowLink:
    """Listens on a port of its own and forwards to `port`, `bytes_per_s` upwards and downwards."""

    def __init__(self, port: int, bytes_per_s: float, *, buffer: int | None = _BUFFER) -> None:
        """`buffer` bytes wait in front of the link; None: as many as the kernel likes, as in front of a modem.

        With a small one the kernel takes a link on which nothing fits for 10 s for broken.
        """
        self._target = port
        self.passed = 0  # bytes, upwards
        self._rate = bytes_per_s
        self._listener = socket.socket()
        if buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, sock=self._listener, limit=_CHUNK)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target, limit=_CHUNK)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # `close`; asyncio's server would print it
            await asyncio.gather(self._forward(reader, up_writer, upwards=True), self._forward(up_reader, writer))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upwards: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await asyncio.sleep(len(data) / self._rate)
                writer.write(data)
                self.passed += len(data) * upwards
                await writer.drain()
        writer.close()

    def close(self) -> None:
        """Break the link."""

        async def end() -> None:
            self._server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
